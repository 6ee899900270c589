//! Staff of the platform in an organisation: with a reason, for an hour, told to its owners.

use std::time::Duration;

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::id::{OrgId, UserId};
use omoi_store::staff_entries::{self, StaffEntry};
use omoi_store::{Tx, users};

use crate::context::AccountContext;
use crate::error::AccountError;

/// How long a stay lasts.
pub const STAFF_STAY: Duration = Duration::from_mins(60);
/// Longest reason, in characters.
pub const STAFF_REASON_MAX: usize = 500;

/// Lets `user`, who runs the platform, act in `org` as an admin of it, for an hour.
///
/// # Errors
/// [`AccountError::StaffReason`] without a reason, [`AccountError::NotStaff`] for others, and `NotFound` for an organisation
/// that is not there.
pub async fn enter_organisation(
    context: &AccountContext,
    user: UserId,
    org: OrgId,
    reason: &str,
) -> Result<StaffEntry, AccountError> {
    let reason = reason.trim();
    if !(1..=STAFF_REASON_MAX).contains(&reason.chars().count()) {
        return Err(AccountError::StaffReason);
    }
    let tenant = context.store.tenant(org);
    let enter = async |tx: &mut Tx| -> Result<_, AccountError> {
        omoi_store::organisations::get(tx).await?;
        let staff = users::get(tx, user).await?;
        if !staff.is_staff || !staff.is_active {
            return Err(AccountError::NotStaff);
        }
        let entry = StaffEntry {
            id: tx.new_id(),
            org_id: org,
            user_id: user,
            reason: reason.to_owned(),
            entered_at: tx.now(),
            expires_at: tx.now() + STAFF_STAY,
            left_at: None,
        };
        staff_entries::insert(tx, &entry).await?;
        let entered = AuditAct::done_to(AuditAction::StaffEnteredOrg, org);
        tx.record_act(entered.with_reason(reason));
        Ok(entry)
    };
    context.write_membership(&tenant, enter).await
}

/// Ends the stays of `user` in `org`; whether there was one.
///
/// # Errors
/// When the rows cannot be written.
pub async fn leave_organisation(
    context: &AccountContext,
    user: UserId,
    org: OrgId,
) -> Result<bool, AccountError> {
    let tenant = context.store.tenant(org);
    let leave = async |tx: &mut Tx| -> Result<_, AccountError> {
        let n_ended = staff_entries::end(tx, org, user).await?;
        if n_ended > 0 {
            tx.record_act(AuditAct::done_to(AuditAction::StaffLeftOrg, org));
        }
        Ok(n_ended > 0)
    };
    context.write_membership(&tenant, leave).await
}
