//! Named leases: one holder at a time, with a fence that grows at every change of hands.

use std::time::Duration;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::tx::Tx;

/// A held lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Grows whenever the holder changes.
    pub fence: i64,
}

/// Takes or renews the lease `name` for `owner`; none when somebody else holds it.
///
/// # Errors
/// When the database cannot be written.
pub async fn acquire(
    tx: &mut Tx,
    name: &str,
    owner: &str,
    ttl: Duration,
) -> Result<Option<Lease>, StoreError> {
    let now = tx.now();
    let rows = tx
        .raw(
            "insert into leases (name, owner, fence, expires_at) values ($1, $2, 1, $3)
             on conflict (name) do update set
                 fence = case when leases.owner = excluded.owner then leases.fence else leases.fence + 1 end,
                 owner = excluded.owner,
                 expires_at = excluded.expires_at
             where leases.owner = excluded.owner or leases.expires_at <= $4
             returning fence",
            args![name, owner, now + ttl, now],
        )
        .await?;
    rows.first()
        .map(|row| {
            Ok(Lease {
                name: name.to_owned(),
                fence: i64::read(row, "fence")?,
            })
        })
        .transpose()
}

/// Whether `owner` still holds `lease` with its fence.
///
/// # Errors
/// When the database cannot be read.
pub async fn held(tx: &mut Tx, lease: &Lease, owner: &str) -> Result<bool, StoreError> {
    let now = tx.now();
    let rows = tx
        .raw(
            "select fence from leases
             where name = $1 and owner = $2 and fence = $3 and expires_at > $4",
            args![lease.name, owner, lease.fence, now],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// Gives the lease up, if `owner` holds it.
///
/// # Errors
/// When the database cannot be written.
pub async fn release(tx: &mut Tx, name: &str, owner: &str) -> Result<(), StoreError> {
    tx.raw(
        "update leases set expires_at = 0 where name = $1 and owner = $2 returning fence",
        args![name, owner],
    )
    .await?;
    Ok(())
}

/// Ends every lease. Only for a process that knows no other can hold one.
///
/// # Errors
/// When the database cannot be written.
pub async fn clear(tx: &mut Tx) -> Result<(), StoreError> {
    tx.raw("update leases set expires_at = 0 returning fence", args![])
        .await?;
    Ok(())
}
