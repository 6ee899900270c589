//! Keys that an organisation brings for providers of models, encrypted.

use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A key that an organisation brought.
    ProviderKeyRow in "provider_keys" as "provider key" {
        /// Whose it is.
        org_id: OrgId,
        /// What the deployment calls the provider that it is for.
        provider_name: String,
        /// The key of the deployment's ring by which the row is read.
        ring_key: String,
        /// The key of this row alone, encrypted by that.
        wrapped_key: Vec<u8>,
        /// The provider's key, encrypted by the row's.
        sealed_key: Vec<u8>,
        /// What of it people are told again.
        last_four: String,
        /// When it was brought.
        set_at: Timestamp,
    }
}

/// The keys of the organisation, by provider.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_all(tx: &mut Tx) -> Result<Vec<ProviderKeyRow>, StoreError> {
    tx.all("1 = 1 order by provider_name", args![]).await
}

/// The key for `provider`, where the organisation brought one.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, provider: &str) -> Result<Option<ProviderKeyRow>, StoreError> {
    tx.find("provider_name = $2", args![provider]).await
}

/// Keeps `key` in the place of any other for its provider.
///
/// # Errors
/// When the database cannot be written.
pub async fn replace(tx: &mut Tx, key: &ProviderKeyRow) -> Result<(), StoreError> {
    tx.execute(
        "insert into provider_keys (org_id, provider_name, ring_key, wrapped_key, sealed_key, last_four, set_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (org_id, provider_name) do update set ring_key = excluded.ring_key,
             wrapped_key = excluded.wrapped_key, sealed_key = excluded.sealed_key,
             last_four = excluded.last_four, set_at = excluded.set_at",
        args![
            key.provider_name,
            key.ring_key,
            key.wrapped_key,
            key.sealed_key,
            key.last_four,
            key.set_at
        ],
    )
    .await
    .map(drop)
}

/// Has `key` read by another key of the ring from now on; whether it is still the one that was read.
///
/// # Errors
/// When the database cannot be written.
pub async fn rewrap_key(tx: &mut Tx, key: &ProviderKeyRow) -> Result<bool, StoreError> {
    let n_rows = tx
        .execute(
            "update provider_keys set ring_key = $3, wrapped_key = $4
             where org_id = $1 and provider_name = $2 and sealed_key = $5",
            args![
                key.provider_name,
                key.ring_key,
                key.wrapped_key,
                key.sealed_key
            ],
        )
        .await?;
    Ok(n_rows > 0)
}

/// Removes the key for `provider`, and gives its row.
///
/// # Errors
/// [`StoreError::NotFound`] where the organisation brought none.
pub async fn take_key(tx: &mut Tx, provider: &str) -> Result<ProviderKeyRow, StoreError> {
    let found = find(tx, provider).await?;
    let row = found.ok_or_else(|| StoreError::NotFound {
        what: "provider key",
        key: provider.to_owned(),
    })?;
    let sql = "delete from provider_keys where org_id = $1 and provider_name = $2";
    tx.execute(sql, args![provider]).await?;
    Ok(row)
}
