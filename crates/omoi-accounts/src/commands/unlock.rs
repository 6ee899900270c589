//! Opening an account that too many strangers tried.

use omoi_domain::access::sign_in_limit::LimitScope;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_store::{Tx, users};

use super::limits::{CountedTry, clear_tries};
use super::one_time::{find_holder, use_token};
use crate::context::AccountContext;
use crate::error::AccountError;

/// Opens the account of whoever has `token`.
///
/// # Errors
/// [`AccountError::InvalidToken`].
pub async fn unlock_account(context: &AccountContext, token: &str) -> Result<(), AccountError> {
    let open = async |tx: &mut Tx| -> Result<(), AccountError> {
        let holder = find_holder(tx, token, TokenPurpose::Unlock).await?;
        // The count before the user: a sign-in that is refused locks them in that order.
        clear_account_tries(tx, holder.id).await?;
        use_token(tx, token, TokenPurpose::Unlock).await?;
        let unlocked = AuditAct::done_to(AuditAction::AccountUnlocked, holder.id);
        tx.record_act(unlocked.done_by(Actor::User(holder.id)));
        Ok(())
    };
    context
        .store
        .system()
        .write(CrashPoint::AccountChanged, open)
        .await
}

/// Forgets the failures that lock an account everywhere.
pub(super) async fn clear_account_tries(tx: &mut Tx, user: UserId) -> Result<(), AccountError> {
    let user = users::get(tx, user).await?;
    let account = user.email.unwrap_or_default();
    let counted = CountedTry::of_subject(LimitScope::SignInAccount, &account);
    Ok(clear_tries(tx, &[counted]).await?)
}
