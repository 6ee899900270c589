//! Credentials of model providers whose limits are used up, or those of one model with them, for all
//! processes and organisations of a deployment.

use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// A credential that no call is made with before its time.
    ClosedCredentialRow in "closed_credentials" as "closed credential" {
        /// Names the credential, or one model with it, without telling it.
        credential: String,
        /// When its provider answers again.
        open_at: Timestamp,
    }
}

impl GlobalRow for ClosedCredentialRow {}

/// Keeps `credential` closed until `open_at`, or longer where it is already.
///
/// # Errors
/// When the database cannot be written.
pub async fn close(tx: &mut Tx, credential: &str, open_at: Timestamp) -> Result<(), StoreError> {
    tx.execute_global(
        "insert into closed_credentials (credential, open_at) values ($1, $2)
         on conflict (credential) do update set open_at = excluded.open_at
         where closed_credentials.open_at < excluded.open_at",
        args![credential, open_at],
    )
    .await
    .map(drop)
}

/// Opens `credential`.
///
/// # Errors
/// When the database cannot be written.
pub async fn open(tx: &mut Tx, credential: &str) -> Result<(), StoreError> {
    tx.execute_global(
        "delete from closed_credentials where credential = $1",
        args![credential],
    )
    .await
    .map(drop)
}

/// Opens all credentials: the next call with each finds out whether its provider answers again. They are locked in the
/// order of their names, as by whoever closes and opens several.
///
/// # Errors
/// When the database cannot be written.
pub async fn open_all(tx: &mut Tx) -> Result<(), StoreError> {
    for closed in closed_now(tx).await? {
        open(tx, &closed.credential).await?;
    }
    Ok(())
}

/// The credentials that are closed now.
///
/// # Errors
/// When the database cannot be read.
pub async fn closed_now(tx: &mut Tx) -> Result<Vec<ClosedCredentialRow>, StoreError> {
    let now = tx.now();
    tx.all_global("open_at > $1 order by credential", args![now])
        .await
}
