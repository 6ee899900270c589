//! Accounts at other providers by which people sign in.

use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::id::UserId;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// An account at a provider that opens an account here.
    UserIdentity in "user_identities" as "identity" {
        /// The provider.
        provider: IdentityProvider,
        /// Its own id of the person, which never changes hands.
        provider_user_id: String,
        /// Whose account it opens.
        user_id: UserId,
        /// What the person was called there when it was linked.
        username: Option<String>,
        /// When it was linked.
        created_at: Timestamp,
    }
}

impl GlobalRow for UserIdentity {}

/// Links an identity. The user is locked before.
///
/// # Errors
/// [`StoreError::Exists`] where the identity, or one of that provider's, is linked already.
pub async fn insert(tx: &mut Tx, identity: &UserIdentity) -> Result<(), StoreError> {
    tx.insert(identity).await
}

/// The identity that a provider knows by that id.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(
    tx: &mut Tx,
    provider: IdentityProvider,
    provider_user_id: &str,
) -> Result<Option<UserIdentity>, StoreError> {
    tx.find_global(
        "provider = $1 and provider_user_id = $2",
        args![provider, provider_user_id],
    )
    .await
}

/// The identities of `user`, by provider.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_user(tx: &mut Tx, user: UserId) -> Result<Vec<UserIdentity>, StoreError> {
    tx.all_global("user_id = $1 order by provider", args![user])
        .await
}

/// Takes the identity of `provider` from `user`; whether there was one.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_of_user(
    tx: &mut Tx,
    user: UserId,
    provider: IdentityProvider,
) -> Result<bool, StoreError> {
    let sql = "delete from user_identities where user_id = $1 and provider = $2";
    let n_deleted = tx.execute_global(sql, args![user, provider]).await?;
    Ok(n_deleted > 0)
}

/// Takes every identity from `user`.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_all_of_user(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let sql = "delete from user_identities where user_id = $1";
    tx.execute_global(sql, args![user]).await.map(drop)
}
