//! Ending sessions.

use omoi_domain::access::refresh::SessionEnd;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{SignInSessionId, UserId};
use omoi_store::{Tx, sessions, users};

use crate::context::AccountContext;
use crate::error::AccountError;

/// Ends one session of `user`; whether it was there.
///
/// # Errors
/// When the rows cannot be written.
pub async fn sign_out(
    context: &AccountContext,
    user: UserId,
    session: SignInSessionId,
) -> Result<bool, AccountError> {
    let end =
        async |tx: &mut Tx| sessions::revoke_one(tx, user, session, SessionEnd::SignOut).await;
    Ok(context
        .store
        .system()
        .write(CrashPoint::AccountChanged, end)
        .await?)
}

/// Ends every session of `user`, and their access tokens; how many sessions there were.
///
/// # Errors
/// When the rows cannot be written.
pub async fn sign_out_everywhere(
    context: &AccountContext,
    user: UserId,
) -> Result<u64, AccountError> {
    let end = async |tx: &mut Tx| -> Result<_, AccountError> {
        users::raise_epoch(tx, user).await?;
        let reason = SessionEnd::SignOutEverywhere;
        Ok(sessions::revoke_all(tx, user, None, reason).await?)
    };
    context
        .store
        .system()
        .write(CrashPoint::AccountChanged, end)
        .await
}

/// Keeps `user` from signing in, and ends every session; or lets them sign in again.
///
/// # Errors
/// When the rows cannot be written.
pub async fn set_user_active(
    context: &AccountContext,
    user: UserId,
    is_active: bool,
) -> Result<(), AccountError> {
    let set = async |tx: &mut Tx| -> Result<_, AccountError> {
        users::set_active(tx, user, is_active).await?;
        if !is_active {
            sessions::revoke_all(tx, user, None, SessionEnd::Deactivation).await?;
        }
        Ok(())
    };
    context
        .store
        .system()
        .write(CrashPoint::AccountChanged, set)
        .await
}
