//! Roles that an organisation makes.

use std::collections::BTreeMap;

use omoi_domain::access::grant::may_give;
use omoi_domain::access::pattern::PermissionPattern;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::access::role_chain::{CustomRole, RolePower};
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::id::RoleId;
use omoi_store::roles::{self, RoleRow};
use omoi_store::{Json, Tx, memberships};
use serde_json::{Value, json};

use super::member::{MemberAuthority, expect_version};
use crate::context::AccountContext;
use crate::error::AccountError;

/// What a role is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleDraft {
    /// What people call it: 1 to 100 characters, none of the system's names.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it allows.
    pub permissions: Vec<PermissionPattern>,
    /// The role whose permissions it has too.
    pub inherits_from: Option<RoleId>,
}

/// Longest name of a role, in characters.
pub const ROLE_NAME_MAX: usize = 100;
/// Longest description of a role, in characters.
pub const ROLE_DESCRIPTION_MAX: usize = 1_000;
/// Most roles that one organisation makes.
pub const ROLES_MAX: usize = 100;

/// Makes a role.
///
/// # Errors
/// [`AccountError::Escalation`] where it allows more than the caller may do, [`AccountError::RoleChain`] for one that
/// inherits from itself or from none that there is, [`AccountError::RoleText`], [`AccountError::TooManyRoles`], and `Exists`
/// where its name is taken.
pub async fn create_role(
    context: &AccountContext,
    by: MemberAuthority,
    draft: RoleDraft,
) -> Result<RoleRow, AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let create = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        let mut all = roles::list_all(tx).await?;
        if all.len() >= ROLES_MAX {
            return Err(AccountError::TooManyRoles);
        }
        let mut role = RoleRow {
            id: tx.new_id(),
            org_id: by.org,
            name: String::new(),
            name_key: String::new(),
            description: None,
            permissions: Json(Vec::new()),
            inherits_from_id: None,
            state_version: 0,
        };
        draft.write_into(&mut role)?;
        all.push(role.clone());
        may_give(by.power, power_among(&all, role.id)?)?;
        roles::insert(tx, &role).await?;
        let created = AuditAct::done_to(AuditAction::RoleCreated, role.id);
        tx.record_act(created.with_after(role_facts(&role)));
        Ok(role)
    };
    let refused =
        AuditAct::denied_to(AuditAction::RoleCreated, by.org).with_after(draft_facts(&draft));
    let done = context.write_membership(&tenant, create).await;
    context.audit_refusal(&tenant, refused, done).await
}

/// Changes a role, for everybody who has it.
///
/// # Errors
/// As [`create_role`], [`AccountError::StaleVersion`] where it is none of `versions`, and `NotFound`.
pub async fn update_role(
    context: &AccountContext,
    by: MemberAuthority,
    id: RoleId,
    change: RoleUpdate<'_>,
) -> Result<RoleRow, AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let update = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        let mut role = roles::get(tx, id).await?;
        expect_version(change.versions, role.state_version)?;
        let mut all = roles::list_all(tx).await?;
        may_give(by.power, power_among(&all, id)?)?;
        let before = role_facts(&role);
        change.draft.write_into(&mut role)?;
        for other in &mut all {
            if other.id == id {
                *other = role.clone();
            }
        }
        may_give(by.power, power_among(&all, id)?)?;
        // Others inherit from it: none of them may become one that cannot be followed.
        for other in &all {
            power_among(&all, other.id)?;
        }
        roles::save(tx, &mut role).await?;
        let updated = AuditAct::done_to(AuditAction::RoleUpdated, id).with_before(before);
        tx.record_act(updated.with_after(role_facts(&role)));
        Ok(role)
    };
    let refused =
        AuditAct::denied_to(AuditAction::RoleUpdated, id).with_after(draft_facts(&change.draft));
    let done = context.write_membership(&tenant, update).await;
    context.audit_refusal(&tenant, refused, done).await
}

/// A change of a role.
#[derive(Clone, Debug)]
pub struct RoleUpdate<'a> {
    /// What it is to be.
    pub draft: RoleDraft,
    /// The versions that the change is meant for; any without them.
    pub versions: Option<&'a [i64]>,
}

/// Removes a role that nobody has.
///
/// # Errors
/// [`AccountError::RoleInUse`] where a member, an invitation, a key or another role has it,
/// [`AccountError::Escalation`] where it allows more than the caller may do, and `NotFound`.
pub async fn delete_role(
    context: &AccountContext,
    by: MemberAuthority,
    id: RoleId,
) -> Result<(), AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let delete = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        let role = roles::get(tx, id).await?;
        let all = roles::list_all(tx).await?;
        // One that cannot be followed gives nothing, and whoever may change roles removes it.
        let power = power_among(&all, id).unwrap_or(RolePower::NONE);
        may_give(by.power, power)?;
        if !roles::delete_unused(tx, id).await? {
            return Err(AccountError::RoleInUse);
        }
        let deleted = AuditAct::done_to(AuditAction::RoleDeleted, id);
        tx.record_act(deleted.with_before(role_facts(&role)));
        Ok(())
    };
    let refused = AuditAct::denied_to(AuditAction::RoleDeleted, id);
    let done = context.write_membership(&tenant, delete).await;
    context.audit_refusal(&tenant, refused, done).await
}

impl RoleDraft {
    /// The draft that changes nothing of `role`.
    pub fn of_role(role: &RoleRow) -> Self {
        Self {
            name: role.name.clone(),
            description: role.description.clone(),
            permissions: role.permissions.0.clone(),
            inherits_from: role.inherits_from_id,
        }
    }

    fn write_into(&self, role: &mut RoleRow) -> Result<(), AccountError> {
        let name = self.name.trim();
        let key = name.to_lowercase();
        let n_chars = name.chars().count();
        let is_named =
            (1..=ROLE_NAME_MAX).contains(&n_chars) && !name.chars().any(char::is_control);
        let described = self.description.as_deref().unwrap_or_default();
        let is_short = described.chars().count() <= ROLE_DESCRIPTION_MAX;
        if !is_named || !is_short || SystemRole::parse(&key).is_some() {
            return Err(AccountError::RoleText);
        }
        name.clone_into(&mut role.name);
        role.name_key = key;
        role.description.clone_from(&self.description);
        role.permissions = Json(self.permissions.clone());
        role.inherits_from_id = self.inherits_from;
        Ok(())
    }
}

/// What the role `id` allows among `all` of its organisation.
fn power_among(all: &[RoleRow], id: RoleId) -> Result<RolePower, AccountError> {
    let custom: BTreeMap<RoleId, CustomRole> = all
        .iter()
        .map(|row| {
            let role = CustomRole {
                permissions: row.permissions.0.clone(),
                inherits_from: row.inherits_from_id,
            };
            (row.id, role)
        })
        .collect();
    Ok(RolePower::of_role(MemberRole::Custom(id), &custom)?)
}

fn draft_facts(draft: &RoleDraft) -> Value {
    json!({
        "name": draft.name, "permissions": draft.permissions, "inherits_from": draft.inherits_from,
    })
}

fn role_facts(role: &RoleRow) -> Value {
    json!({
        "name": role.name, "permissions": role.permissions.0, "inherits_from": role.inherits_from_id,
    })
}
