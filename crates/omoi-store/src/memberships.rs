//! Who belongs to which organisation. Looked up by user before an organisation is known.

use omoi_domain::access::role::MemberRole;
use omoi_domain::id::{MembershipId, OrgId, UserId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::project_grants;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// A member of an organisation.
    Membership in "memberships" as "membership" {
        /// Its id.
        id: MembershipId,
        /// Where.
        org_id: OrgId,
        /// Who.
        user_id: UserId,
        /// As what.
        role: MemberRole,
        /// Since when; none for the user of a laptop.
        joined_at: Option<Timestamp>,
        /// Grows with each change of the role.
        state_version: i64,
    }
}

impl GlobalRow for Membership {}

/// The memberships of `user`, in all organisations.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_user(tx: &mut Tx, user: UserId) -> Result<Vec<Membership>, StoreError> {
    tx.all_global("user_id = $1 order by org_id", args![user])
        .await
}

/// The members of `org`.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_organisation(tx: &mut Tx, org: OrgId) -> Result<Vec<Membership>, StoreError> {
    tx.all_global("org_id = $1 order by joined_at, id", args![org])
        .await
}

/// The membership of `org` with that id.
///
/// # Errors
/// [`StoreError::NotFound`], also for one of another organisation.
pub async fn get(tx: &mut Tx, org: OrgId, id: MembershipId) -> Result<Membership, StoreError> {
    let found = tx
        .find_global("org_id = $1 and id = $2", args![org, id])
        .await?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "membership",
        key: id.to_string(),
    })
}

/// Keeps others from changing the members of `org`, its roles, invitations and keys until the transaction ends. It comes
/// before every other lock of those; several organisations are locked in the order of their ids.
///
/// # Errors
/// When the database cannot be written.
pub async fn lock_members(tx: &mut Tx, org: OrgId) -> Result<(), StoreError> {
    // Owners count each other: two who remove each other would both see two.
    tx.execute_global(
        "update organisations set name = name where id = $1",
        args![org],
    )
    .await
    .map(drop)
}

/// The membership of `user` in `org`.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_of_user(
    tx: &mut Tx,
    org: OrgId,
    user: UserId,
) -> Result<Option<Membership>, StoreError> {
    tx.find_global("org_id = $1 and user_id = $2", args![org, user])
        .await
}

/// Owners of `org` other than `user` who can sign in, those of longest first: the user of a laptop, and whoever is
/// disabled, cannot.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_other_owners(
    tx: &mut Tx,
    org: OrgId,
    user: UserId,
) -> Result<Vec<Membership>, StoreError> {
    tx.all_global(
        "org_id = $1 and user_id <> $2 and role = 'owner'
         and exists (select 1 from users u
             where u.id = memberships.user_id and u.is_active = $3 and (u.password_hash is not null
                 or exists (select 1 from user_identities i where i.user_id = u.id)))
         order by joined_at, id",
        args![org, user, true],
    )
    .await
}

/// How many [`list_other_owners`] lists.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_other_owners(tx: &mut Tx, org: OrgId, user: UserId) -> Result<u64, StoreError> {
    Ok(list_other_owners(tx, org, user).await?.len() as u64)
}

/// Keeps a new member.
///
/// # Errors
/// [`StoreError::Exists`] when the user belongs to the organisation.
pub async fn insert(tx: &mut Tx, membership: &Membership) -> Result<(), StoreError> {
    tx.insert(membership).await
}

/// Gives a member another role.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_role(tx: &mut Tx, id: MembershipId, role: MemberRole) -> Result<(), StoreError> {
    tx.execute_global(
        "update memberships set role = $2, custom_role_id = $3, state_version = state_version + 1 where id = $1",
        args![id, role.role_column(), role.custom_role()],
    )
    .await
    .map(drop)
}

/// Removes a member with what they were granted.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete(tx: &mut Tx, id: MembershipId) -> Result<(), StoreError> {
    project_grants::delete_of_member(tx, id).await?;
    tx.execute_global("delete from memberships where id = $1", args![id])
        .await
        .map(drop)
}

/// The membership of `user` in `org`.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get_of_user(tx: &mut Tx, org: OrgId, user: UserId) -> Result<Membership, StoreError> {
    let found = find_of_user(tx, org, user).await?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "member",
        key: user.to_string(),
    })
}
