//! Tokens that are good once: made, and used.

use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::id::UserId;
use omoi_runtime::rng::Rng;
use omoi_store::one_time_tokens::{self, OneTimeToken};
use omoi_store::{StoreError, Tx};
use secrecy::SecretString;

use crate::error::AccountError;
use crate::secret_token::{FreshSecret, secret_digest};

/// Makes a token for `user` in place of earlier ones for that purpose.
pub(crate) async fn make_token(
    tx: &mut Tx,
    rng: &Rng,
    user: UserId,
    purpose: TokenPurpose,
) -> Result<SecretString, StoreError> {
    let fresh = FreshSecret::draw_secret("", rng);
    let token = OneTimeToken {
        digest: fresh.digest,
        purpose,
        user_id: Some(user),
        email: None,
        expires_at: tx.now() + purpose.token_lifetime(),
        used_at: None,
    };
    one_time_tokens::replace(tx, &token).await?;
    Ok(fresh.secret)
}

/// Uses a token of a user up; whose it is.
///
/// # Errors
/// [`AccountError::InvalidToken`] for one that is not good for `purpose` now, without saying why.
pub(crate) async fn use_token(
    tx: &mut Tx,
    secret: &str,
    purpose: TokenPurpose,
) -> Result<UserId, AccountError> {
    let token = one_time_tokens::lock(tx, &secret_digest(secret)).await?;
    let now = tx.now();
    let token = token.filter(|token| token.token_facts().is_good_for(purpose, now));
    let token = token.ok_or(AccountError::InvalidToken)?;
    let user = token.user_id.ok_or(AccountError::InvalidToken)?;
    one_time_tokens::set_used(tx, &token.digest).await?;
    Ok(user)
}
