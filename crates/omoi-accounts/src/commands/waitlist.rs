//! Accounts that wait until staff of the platform lets them in.

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::id::UserId;
use omoi_store::users::{self, User};
use omoi_store::{StoreError, Tx};

use crate::context::AccountContext;
use crate::error::AccountError;

/// Most accounts that are listed, and let in at once.
pub const WAITLIST_MAX: i64 = 500;

/// The accounts that wait, those that wait longest first.
///
/// # Errors
/// When the rows cannot be read.
pub async fn list_waiting(context: &AccountContext) -> Result<Vec<User>, StoreError> {
    let list = async |tx: &mut Tx| users::list_waiting(tx, WAITLIST_MAX).await;
    context.store.system().read(list).await
}

/// Lets `user` in; whether they waited.
///
/// # Errors
/// When the rows cannot be written.
pub async fn approve_waiting(context: &AccountContext, user: UserId) -> Result<bool, AccountError> {
    let approve = async |tx: &mut Tx| let_in(tx, user).await;
    context.write_revocation(approve).await
}

/// Lets everybody in who waits, [`WAITLIST_MAX`] at most; how many.
///
/// # Errors
/// When the rows cannot be written.
pub async fn approve_all_waiting(context: &AccountContext) -> Result<u64, AccountError> {
    let approve = async |tx: &mut Tx| -> Result<u64, AccountError> {
        let mut n_approved = 0;
        for user in users::list_waiting(tx, WAITLIST_MAX).await? {
            n_approved += u64::from(let_in(tx, user.id).await?);
        }
        Ok(n_approved)
    };
    context.write_revocation(approve).await
}

async fn let_in(tx: &mut Tx, user: UserId) -> Result<bool, AccountError> {
    let is_let_in = users::end_wait(tx, user).await?;
    if is_let_in {
        tx.record_act(AuditAct::done_to(AuditAction::WaitlistApproved, user));
    }
    Ok(is_let_in)
}
