//! Credentials of model providers whose limits are used up, or those of one model with them, for all
//! processes of a deployment.

use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A credential that no call is made with before its time.
    ClosedCredentialRow in "closed_credentials" as "closed credential" {
        /// Its organisation.
        org_id: OrgId,
        /// Names the credential, or one model with it, without telling it.
        credential: String,
        /// When its provider answers again.
        open_at: Timestamp,
    }
}

/// Keeps `credential` closed until `open_at`, or longer where it is already.
///
/// # Errors
/// When the database cannot be written.
pub async fn close(tx: &mut Tx, credential: &str, open_at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "insert into closed_credentials (org_id, credential, open_at) values ($1, $2, $3)
         on conflict (org_id, credential) do update set open_at = excluded.open_at
         where closed_credentials.open_at < excluded.open_at",
        args![credential.to_owned(), open_at],
    )
    .await?;
    Ok(())
}

/// Opens `credential`.
///
/// # Errors
/// When the database cannot be written.
pub async fn open(tx: &mut Tx, credential: &str) -> Result<(), StoreError> {
    tx.execute(
        "delete from closed_credentials where org_id = $1 and credential = $2",
        args![credential.to_owned()],
    )
    .await?;
    Ok(())
}

/// Opens all credentials: the next call with each finds out whether its provider answers again.
///
/// # Errors
/// When the database cannot be written.
pub async fn open_all(tx: &mut Tx) -> Result<(), StoreError> {
    tx.execute("delete from closed_credentials where org_id = $1", args![])
        .await?;
    Ok(())
}

/// The credentials that are closed now.
///
/// # Errors
/// When the database cannot be read.
pub async fn closed_now(tx: &mut Tx) -> Result<Vec<ClosedCredentialRow>, StoreError> {
    let now = tx.now();
    tx.all("open_at > $2 order by credential", args![now]).await
}
