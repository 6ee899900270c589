//! What a member may do in one project beyond their role.

use omoi_domain::access::grant::{GRANTED_PER_PROJECT, PrivilegeEscalation};
use omoi_domain::access::permission::Permission;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::id::{MembershipId, ProjectId};
use omoi_store::project_grants::{self, ProjectGrantRow};
use omoi_store::{Tx, projects};
use serde_json::{Value, json};

use super::member::{MemberAuthority, changeable_member};
use crate::context::AccountContext;
use crate::error::AccountError;

/// One permission more, in one project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantDraft {
    /// To whom.
    pub member: MembershipId,
    /// Where.
    pub project: ProjectId,
    /// What: `spec:approve` or `ticket:approve`.
    pub permission: Permission,
}

/// Grants a member a permission in one project.
///
/// # Errors
/// [`AccountError::NotGranted`] for a permission that is given by roles alone, [`AccountError::Escalation`] for one that the
/// caller lacks or a member above them, and `NotFound` for a member or a project that is not there.
pub async fn grant_permission(
    context: &AccountContext,
    by: MemberAuthority,
    draft: GrantDraft,
) -> Result<(), AccountError> {
    if !GRANTED_PER_PROJECT.contains(draft.permission) {
        return Err(AccountError::NotGranted);
    }
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let grant = async |tx: &mut Tx| -> Result<_, AccountError> {
        changeable_member(tx, by, draft.member).await?;
        if !by.power.permissions.contains(draft.permission) {
            return Err(PrivilegeEscalation::Lacks(draft.permission).into());
        }
        projects::get(tx, draft.project).await?;
        let row = ProjectGrantRow {
            org_id: by.org,
            project_id: draft.project,
            membership_id: draft.member,
            permission: draft.permission,
        };
        project_grants::add(tx, &row).await?;
        let granted = AuditAct::done_to(AuditAction::GrantAdded, draft.member);
        tx.record_act(granted.with_after(grant_facts(draft)));
        Ok(())
    };
    let refused =
        AuditAct::denied_to(AuditAction::GrantAdded, draft.member).with_after(grant_facts(draft));
    let done = context.write_membership(&tenant, grant).await;
    context.audit_refusal(&tenant, refused, done).await
}

/// Takes such a permission back; whether it was there.
///
/// # Errors
/// [`AccountError::Escalation`] for a member above the caller, and `NotFound`.
pub async fn revoke_grant(
    context: &AccountContext,
    by: MemberAuthority,
    draft: GrantDraft,
) -> Result<bool, AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let revoke = async |tx: &mut Tx| -> Result<_, AccountError> {
        changeable_member(tx, by, draft.member).await?;
        let row = ProjectGrantRow {
            org_id: by.org,
            project_id: draft.project,
            membership_id: draft.member,
            permission: draft.permission,
        };
        let is_removed = project_grants::delete(tx, &row).await?;
        if is_removed {
            let revoked = AuditAct::done_to(AuditAction::GrantRemoved, draft.member);
            tx.record_act(revoked.with_before(grant_facts(draft)));
        }
        Ok(is_removed)
    };
    let refused =
        AuditAct::denied_to(AuditAction::GrantRemoved, draft.member).with_after(grant_facts(draft));
    let done = context.write_membership(&tenant, revoke).await;
    context.audit_refusal(&tenant, refused, done).await
}

fn grant_facts(draft: GrantDraft) -> Value {
    json!({ "project_id": draft.project, "permission": draft.permission })
}
