//! Tokens that are good once: made, and used.

use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::id::UserId;
use omoi_runtime::rng::Rng;
use omoi_store::one_time_tokens::{self, OneTimeToken};
use omoi_store::users::{self, User};
use omoi_store::{StoreError, Tx};
use secrecy::SecretString;

use crate::error::AccountError;
use crate::secret_token::{FreshSecret, secret_digest};

/// Makes a token for `user` in place of earlier ones for that purpose. Locks the user.
pub(crate) async fn make_token(
    tx: &mut Tx,
    rng: &Rng,
    user: UserId,
    purpose: TokenPurpose,
) -> Result<SecretString, StoreError> {
    // Two at once would void the same earlier ones, and both be good.
    users::lock(tx, user).await?;
    let fresh = FreshSecret::draw_secret("", rng);
    let token = OneTimeToken {
        digest: fresh.digest,
        purpose,
        user_id: Some(user),
        email: None,
        session_id: None,
        api_key_id: None,
        code_digest: None,
        label: None,
        expires_at: tx.now() + purpose.token_lifetime(),
        used_at: None,
        provider_flow: None,
    };
    one_time_tokens::replace(tx, &token).await?;
    Ok(fresh.secret)
}

/// Whose token it is, without using it up or keeping anybody from it. Whoever may not sign in has none.
///
/// # Errors
/// [`AccountError::InvalidToken`] for one that is not good for `purpose` now, without saying why.
pub(crate) async fn find_holder(
    tx: &mut Tx,
    secret: &str,
    purpose: TokenPurpose,
) -> Result<User, AccountError> {
    let token = one_time_tokens::find(tx, &secret_digest(secret)).await?;
    let holder = users::get(tx, good_holder(tx, token, purpose)?).await?;
    match holder.is_active {
        true => Ok(holder),
        false => Err(AccountError::InvalidToken),
    }
}

/// Uses a token of a user up; whose it is. Locks the user, then the token, as whoever makes one does.
///
/// # Errors
/// As [`find_holder`].
pub(crate) async fn use_token(
    tx: &mut Tx,
    secret: &str,
    purpose: TokenPurpose,
) -> Result<UserId, AccountError> {
    let holder = find_holder(tx, secret, purpose).await?;
    users::lock(tx, holder.id).await?;
    let digest = secret_digest(secret);
    let token = one_time_tokens::lock(tx, &digest).await?;
    let user = good_holder(tx, token, purpose)?;
    if !users::get(tx, user).await?.is_active {
        return Err(AccountError::InvalidToken);
    }
    one_time_tokens::set_used(tx, &digest).await?;
    Ok(user)
}

fn good_holder(
    tx: &Tx,
    token: Option<OneTimeToken>,
    purpose: TokenPurpose,
) -> Result<UserId, AccountError> {
    let now = tx.now();
    let token = token.filter(|token| token.token_facts().is_good_for(purpose, now));
    let user = token.and_then(|token| token.user_id);
    user.ok_or(AccountError::InvalidToken)
}
