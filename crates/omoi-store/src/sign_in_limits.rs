//! How often strangers tried, counted exactly over all processes.

use omoi_domain::access::sign_in_limit::{LimitCount, LimitScope};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// Tries that count against one limit.
    SignInLimit in "sign_in_limits" as "limit" {
        /// What is limited.
        scope: LimitScope,
        /// SHA-256 of the address, network or account that is counted.
        key_digest: String,
        /// When the first try was counted.
        window_start_at: Timestamp,
        /// Tries since.
        tries: u32,
        /// Until when no try is let in.
        locked_until_at: Option<Timestamp>,
    }
}

impl GlobalRow for SignInLimit {}

/// What was counted, which nobody else counts until the transaction ends. Of several, the caller locks them in the
/// order of their scopes.
///
/// # Errors
/// When the database cannot be written.
pub async fn lock(
    tx: &mut Tx,
    scope: LimitScope,
    key_digest: &str,
) -> Result<Option<LimitCount>, StoreError> {
    let now = tx.now();
    // The first try of many at once makes the row, and the others wait for it here.
    tx.execute_global(
        "insert into sign_in_limits (scope, key_digest, window_start_at, tries) values ($1, $2, $3, 0)
         on conflict (scope, key_digest) do update set tries = sign_in_limits.tries",
        args![scope, key_digest, now],
    )
    .await?;
    find_count(tx, scope, key_digest).await
}

/// What was counted, for whoever counts nothing.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_count(
    tx: &mut Tx,
    scope: LimitScope,
    key_digest: &str,
) -> Result<Option<LimitCount>, StoreError> {
    let limit: Option<SignInLimit> = tx
        .find_global("scope = $1 and key_digest = $2", args![scope, key_digest])
        .await?;
    Ok(limit
        .filter(|limit| limit.tries > 0)
        .map(|limit| LimitCount {
            window_start: limit.window_start_at,
            count: limit.tries,
            locked_until: limit.locked_until_at,
        }))
}

/// Keeps a count.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_count(
    tx: &mut Tx,
    scope: LimitScope,
    key_digest: &str,
    count: LimitCount,
) -> Result<(), StoreError> {
    tx.execute_global(
        "update sign_in_limits set window_start_at = $3, tries = $4, locked_until_at = $5
         where scope = $1 and key_digest = $2",
        args![
            scope,
            key_digest,
            count.window_start,
            count.count,
            count.locked_until
        ],
    )
    .await
    .map(drop)
}

/// Forgets what was counted.
///
/// # Errors
/// When the database cannot be written.
pub async fn clear(tx: &mut Tx, scope: LimitScope, key_digest: &str) -> Result<(), StoreError> {
    tx.execute_global(
        "delete from sign_in_limits where scope = $1 and key_digest = $2",
        args![scope, key_digest],
    )
    .await
    .map(drop)
}

/// Takes one try back, and opens what it closed.
///
/// # Errors
/// When the database cannot be written.
pub async fn give_back(tx: &mut Tx, scope: LimitScope, key_digest: &str) -> Result<(), StoreError> {
    tx.execute_global(
        "update sign_in_limits set tries = tries - 1, locked_until_at = null
         where scope = $1 and key_digest = $2 and tries > 0",
        args![scope, key_digest],
    )
    .await
    .map(drop)
}
