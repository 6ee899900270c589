//! What members may do in single projects beyond their role.

use std::collections::BTreeSet;

use omoi_domain::access::permission::Permission;
use omoi_domain::id::{MembershipId, OrgId, ProjectId};

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// One permission more, for one member in one project.
    ProjectGrantRow in "project_grants" as "grant" {
        /// Its organisation.
        org_id: OrgId,
        /// Where.
        project_id: ProjectId,
        /// To whom.
        membership_id: MembershipId,
        /// What.
        permission: Permission,
    }
}

/// What `membership` is granted.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_member(
    tx: &mut Tx,
    membership: MembershipId,
) -> Result<Vec<ProjectGrantRow>, StoreError> {
    tx.all(
        "membership_id = $2 order by project_id, permission",
        args![membership],
    )
    .await
}

/// Who is granted `permission` in `project`.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_holders(
    tx: &mut Tx,
    project: ProjectId,
    permission: Permission,
) -> Result<BTreeSet<MembershipId>, StoreError> {
    let grants: Vec<ProjectGrantRow> = tx
        .all(
            "project_id = $2 and permission = $3",
            args![project, permission],
        )
        .await?;
    Ok(grants
        .into_iter()
        .map(|grant| grant.membership_id)
        .collect())
}

/// Keeps a grant; one that is there stays.
///
/// # Errors
/// When the database cannot be written.
pub async fn add(tx: &mut Tx, grant: &ProjectGrantRow) -> Result<(), StoreError> {
    tx.insert_once(grant).await
}

/// Takes a grant back; whether it was there.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete(tx: &mut Tx, grant: &ProjectGrantRow) -> Result<bool, StoreError> {
    let n_rows = tx
        .execute(
            "delete from project_grants
             where org_id = $1 and project_id = $2 and membership_id = $3 and permission = $4",
            args![grant.project_id, grant.membership_id, grant.permission],
        )
        .await?;
    Ok(n_rows > 0)
}

/// Takes back all that `membership` is granted.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_of_member(tx: &mut Tx, membership: MembershipId) -> Result<(), StoreError> {
    tx.execute(
        "delete from project_grants where org_id = $1 and membership_id = $2",
        args![membership],
    )
    .await
    .map(drop)
}
