//! Keys. Looked up by their digest, before an organisation is known.

use omoi_domain::access::api_key::ApiKeyKind;
use omoi_domain::access::pattern::PermissionPattern;
use omoi_domain::access::role::MemberRole;
use omoi_domain::id::{ApiKeyId, OrgId, ProjectId, UserId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// A key. The key itself is known to its holder alone.
    ApiKey in "api_keys" as "key" {
        /// Its id.
        id: ApiKeyId,
        /// Whose acts its are.
        kind: ApiKeyKind,
        /// Whose it is, of a person's.
        user_id: Option<UserId>,
        /// The organisation that it is of, or that a person's is narrowed to.
        org_id: Option<OrgId>,
        /// The project of an agent's.
        project_id: Option<ProjectId>,
        /// What an organisation's may do.
        role: Option<MemberRole>,
        /// What people call it.
        name: String,
        /// Its beginning, for lists.
        shown_prefix: String,
        /// SHA-256 of it.
        digest: String,
        /// What of its owner's permissions it has.
        scopes: Json<Vec<PermissionPattern>>,
        /// Who made it.
        created_by_id: UserId,
        /// When it was made.
        created_at: Timestamp,
        /// When it ends.
        expires_at: Option<Timestamp>,
        /// When it was used, to the minute.
        last_used_at: Option<Timestamp>,
        /// When it was revoked.
        revoked_at: Option<Timestamp>,
    }
}

impl GlobalRow for ApiKey {}

impl ApiKey {
    /// Whether it is good at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Keeps a new key.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, key: &ApiKey) -> Result<(), StoreError> {
    tx.insert(key).await
}

/// The key with that digest.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_by_digest(tx: &mut Tx, digest: &str) -> Result<Option<ApiKey>, StoreError> {
    tx.find_global("digest = $1", args![digest]).await
}

/// The key with that id.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
    tx.find_global("id = $1", args![id]).await
}

/// The keys that `user` has of their own and has not revoked, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_user(tx: &mut Tx, user: UserId) -> Result<Vec<ApiKey>, StoreError> {
    tx.all_global(
        "user_id = $1 and revoked_at is null order by created_at desc, id",
        args![user],
    )
    .await
}

/// The keys of `org` and of its agents that are not revoked, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_organisation(tx: &mut Tx, org: OrgId) -> Result<Vec<ApiKey>, StoreError> {
    tx.all_global(
        "org_id = $1 and user_id is null and revoked_at is null order by created_at desc, id",
        args![org],
    )
    .await
}

/// Notes that the key was used now, unless that was noted since `earlier`.
///
/// # Errors
/// When the database cannot be written.
pub async fn note_use(tx: &mut Tx, id: ApiKeyId, earlier: Timestamp) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update api_keys set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $3)",
        args![id, now, earlier],
    )
    .await
    .map(drop)
}

/// Revokes a key of `user`; whether it was there.
///
/// # Errors
/// When the database cannot be written.
pub async fn revoke_of_user(tx: &mut Tx, user: UserId, id: ApiKeyId) -> Result<bool, StoreError> {
    let now = tx.now();
    let n_rows = tx
        .execute_global(
            "update api_keys set revoked_at = $3 where id = $1 and user_id = $2 and revoked_at is null",
            args![id, user, now],
        )
        .await?;
    Ok(n_rows == 1)
}

/// Revokes a key of `org` or of its agents; whether it was there.
///
/// # Errors
/// When the database cannot be written.
pub async fn revoke_of_organisation(
    tx: &mut Tx,
    org: OrgId,
    id: ApiKeyId,
) -> Result<bool, StoreError> {
    let now = tx.now();
    let n_rows = tx
        .execute_global(
            "update api_keys set revoked_at = $3
             where id = $1 and org_id = $2 and user_id is null and revoked_at is null",
            args![id, org, now],
        )
        .await?;
    Ok(n_rows == 1)
}

/// Revokes every key of `org` and of its agents; how many there were. Those of people stay, and reach nothing there by
/// themselves.
///
/// # Errors
/// When the database cannot be written.
pub async fn revoke_all_of_organisation(tx: &mut Tx, org: OrgId) -> Result<u64, StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update api_keys set revoked_at = $2 where org_id = $1 and user_id is null and revoked_at is null",
        args![org, now],
    )
    .await
}

/// Revokes every key of `user`; how many there were.
///
/// # Errors
/// When the database cannot be written.
pub async fn revoke_all_of_user(tx: &mut Tx, user: UserId) -> Result<u64, StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update api_keys set revoked_at = $2 where user_id = $1 and revoked_at is null",
        args![user, now],
    )
    .await
}
