//! Ending sessions.

use omoi_domain::access::refresh::SessionEnd;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::id::{OrgId, SignInSessionId, UserId};
use omoi_store::{Tx, memberships, sessions, users};
use serde_json::json;

use super::member::keep_an_owner;
use super::unlock::clear_account_tries;
use crate::context::AccountContext;
use crate::error::AccountError;

/// Ends the session that `user` asks from; whether it was there.
///
/// # Errors
/// When the rows cannot be written.
pub async fn sign_out(
    context: &AccountContext,
    user: UserId,
    session: SignInSessionId,
) -> Result<bool, AccountError> {
    end_session(context, user, session, AuditAction::Logout).await
}

/// Ends another session of `user`; whether it was there.
///
/// # Errors
/// When the rows cannot be written.
pub async fn revoke_session(
    context: &AccountContext,
    user: UserId,
    session: SignInSessionId,
) -> Result<bool, AccountError> {
    end_session(context, user, session, AuditAction::SessionRevoked).await
}

async fn end_session(
    context: &AccountContext,
    user: UserId,
    session: SignInSessionId,
    told: AuditAction,
) -> Result<bool, AccountError> {
    let end = async |tx: &mut Tx| -> Result<bool, AccountError> {
        let is_ended = sessions::revoke_one(tx, user, session, SessionEnd::SignOut).await?;
        if is_ended {
            tx.record_act(AuditAct::done_to(told, session));
        }
        Ok(is_ended)
    };
    context.write_revocation(end).await
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
        let n_ended = sessions::revoke_all(tx, user, None, reason).await?;
        let ended = AuditAct::done_to(AuditAction::Logout, user);
        tx.record_act(ended.with_after(json!({ "sessions_ended": n_ended })));
        Ok(n_ended)
    };
    context.write_revocation(end).await
}

/// Keeps `user` from signing in, and ends every session; or lets them sign in again, also where
/// too many tries locked the account.
///
/// # Errors
/// [`AccountError::LastOwner`] for the only owner of an organisation who can sign in.
pub async fn set_user_active(
    context: &AccountContext,
    user: UserId,
    is_active: bool,
) -> Result<(), AccountError> {
    let set = async |tx: &mut Tx| -> Result<_, AccountError> {
        match is_active {
            // The count before the user: a sign-in that is refused locks them in that order.
            true => clear_account_tries(tx, user).await?,
            false => keep_owners(tx, user).await?,
        }
        users::set_active(tx, user, is_active).await?;
        let action = match is_active {
            true => AuditAction::AccountEnabled,
            false => AuditAction::AccountDisabled,
        };
        if !is_active {
            sessions::revoke_all(tx, user, None, SessionEnd::Deactivation).await?;
        }
        tx.record_act(AuditAct::done_to(action, user));
        Ok(())
    };
    let platform = context.store.tenant(OrgId::PLATFORM);
    let refused = AuditAct::denied_to(AuditAction::AccountDisabled, user);
    let done = context.write_revocation(set).await;
    context.audit_refusal(&platform, refused, done).await
}

/// Refuses for the only owner who can sign in of one of their organisations, whose members it locks.
pub(super) async fn keep_owners(tx: &mut Tx, user: UserId) -> Result<(), AccountError> {
    for membership in memberships::list_of_user(tx, user).await? {
        memberships::lock_members(tx, membership.org_id).await?;
    }
    for membership in memberships::list_of_user(tx, user).await? {
        keep_an_owner(tx, &membership).await?;
    }
    Ok(())
}
