//! What the operator does for whoever cannot get into their account.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::refresh::SessionEnd;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_domain::time::Timestamp;
use omoi_store::{Tx, sessions, users};
use secrecy::SecretString;
use serde_json::json;

use super::one_time::make_token;
use super::password::hash_good_password;
use super::unlock::clear_account_tries;
use crate::context::AccountContext;
use crate::error::AccountError;

/// A token that is good once, for the operator to hand over.
#[derive(Debug)]
pub struct OperatorToken {
    /// What its user is told.
    pub token: SecretString,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Makes the token that a mail to `user` would carry, in place of earlier ones for that purpose.
///
/// # Errors
/// When the rows cannot be written.
pub async fn make_operator_token(
    context: &AccountContext,
    user: UserId,
    purpose: TokenPurpose,
) -> Result<OperatorToken, AccountError> {
    let make = async |tx: &mut Tx| -> Result<_, AccountError> {
        let token = make_token(tx, &context.rng, user, purpose).await?;
        let told = AuditAct::done_to(AuditAction::AccountLinkMade, user);
        tx.record_act(told.with_after(json!({ "purpose": purpose })));
        let expires_at = tx.now() + purpose.token_lifetime();
        Ok(OperatorToken { token, expires_at })
    };
    context
        .store
        .system()
        .write(CrashPoint::AccountChanged, make)
        .await
}

/// Sets the password of whoever has `email`, ends their sessions and opens a locked account.
///
/// # Errors
/// [`AccountError::WeakPassword`], and [`AccountError::InvalidCredentials`] where nobody has that address.
pub async fn set_user_password(
    context: &AccountContext,
    email: &MailAddress,
    password: SecretString,
) -> Result<(), AccountError> {
    let hash = hash_good_password(context, password, email).await?;
    let set = async |tx: &mut Tx| -> Result<_, AccountError> {
        let user = users::find_by_email(tx, email).await?;
        let user = user.ok_or(AccountError::InvalidCredentials)?;
        clear_account_tries(tx, user.id).await?;
        users::set_password(tx, user.id, &hash).await?;
        sessions::revoke_all(tx, user.id, None, SessionEnd::PasswordReset).await?;
        tx.record_act(AuditAct::done_to(AuditAction::PasswordReset, user.id));
        Ok(())
    };
    context.write_revocation(set).await
}
