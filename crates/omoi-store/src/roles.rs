//! Roles that an organisation made.

use omoi_domain::access::pattern::PermissionPattern;
use omoi_domain::access::role::MemberRole;
use omoi_domain::id::{OrgId, RoleId};

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::memberships;
use crate::row::{row, versioned};
use crate::tx::Tx;

row! {
    /// A role of one organisation.
    RoleRow in "roles" as "role" {
        /// Its id.
        id: RoleId,
        /// Whose it is.
        org_id: OrgId,
        /// What it is called.
        name: String,
        /// The same for comparison: no two of an organisation.
        name_key: String,
        /// What it is for.
        description: Option<String>,
        /// What it allows.
        permissions: Json<Vec<PermissionPattern>>,
        /// The role whose permissions it has too.
        inherits_from_id: Option<RoleId>,
        /// Grows with each change.
        state_version: i64,
    }
}

versioned! { RoleRow by id in "roles" { name, name_key, description, permissions, inherits_from_id } }

/// Every custom role of the organisation.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_all(tx: &mut Tx) -> Result<Vec<RoleRow>, StoreError> {
    tx.all("true order by name_key", args![]).await
}

/// The custom role `id` of the organisation.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: RoleId) -> Result<RoleRow, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Writes a role that was changed.
///
/// # Errors
/// [`StoreError::Conflict`] when it was changed since it was read, [`StoreError::Exists`] when its new name is taken.
pub async fn save(tx: &mut Tx, role: &mut RoleRow) -> Result<(), StoreError> {
    tx.update(role).await
}

/// Keeps a new role.
///
/// # Errors
/// [`StoreError::Exists`] when the organisation has one of that name, [`StoreError::NotFound`] when it has none that
/// the role inherits from.
pub async fn insert(tx: &mut Tx, role: &RoleRow) -> Result<(), StoreError> {
    // Nobody removes what it inherits from meanwhile.
    memberships::lock_members(tx, role.org_id).await?;
    if let Some(MemberRole::Custom(parent)) = role.inherits_from_id.map(MemberRole::of_id) {
        tx.get::<RoleRow>(parent, "id = $2", args![parent]).await?;
    }
    tx.insert(role).await
}

/// Removes a role that no member, invitation, key or other role has; whether it did.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_unused(tx: &mut Tx, id: RoleId) -> Result<bool, StoreError> {
    memberships::lock_members(tx, tx.org()).await?;
    let (org, now) = (tx.org(), tx.now());
    // What is over keeps no role; the audit log tells which one it was.
    tx.execute_global(
        "delete from invitations where org_id = $1 and custom_role_id = $2
             and (accepted_at is not null or revoked_at is not null or expires_at <= $3)",
        args![org, id, now],
    )
    .await?;
    tx.execute_global(
        "update api_keys set role = 'viewer', custom_role_id = null where org_id = $1 and custom_role_id = $2
             and (revoked_at is not null or expires_at <= $3)",
        args![org, id, now],
    )
    .await?;
    let n_rows = tx
        .execute(
            "delete from roles where org_id = $1 and id = $2
             and not exists (select 1 from memberships m where m.custom_role_id = $2)
             and not exists (select 1 from invitations i where i.custom_role_id = $2 and i.org_id = $1)
             and not exists (select 1 from api_keys k where k.custom_role_id = $2)
             and not exists (select 1 from roles r where r.org_id = $1 and r.inherits_from_id = $2)",
            args![id],
        )
        .await?;
    Ok(n_rows == 1)
}
