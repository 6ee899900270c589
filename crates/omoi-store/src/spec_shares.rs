//! Specs that are shown to whoever has a link.

use omoi_domain::id::{OrgId, SpecId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// The link to one spec.
    SpecShare in "spec_shares" as "shared spec" {
        /// The spec.
        spec_id: SpecId,
        /// Whose it is.
        org_id: OrgId,
        /// SHA-256 of the token that the link carries.
        digest: String,
        /// Whether search engines may show the page.
        is_listed: bool,
        /// How often it was looked at.
        n_views: i64,
        /// When the link was made.
        created_at: Timestamp,
    }
}

/// Makes a link to a spec in place of the one that leads there.
///
/// # Errors
/// When the database cannot be written.
pub async fn replace(tx: &mut Tx, share: &SpecShare) -> Result<(), StoreError> {
    remove(tx, share.spec_id).await?;
    tx.insert(share).await
}

/// Has the link to a spec lead nowhere; false where there is none.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove(tx: &mut Tx, spec: SpecId) -> Result<bool, StoreError> {
    let sql = "delete from spec_shares where org_id = $1 and spec_id = $2";
    Ok(tx.execute(sql, args![spec]).await? > 0)
}

/// The link to a spec, where there is one.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Option<SpecShare>, StoreError> {
    tx.find("spec_id = $2", args![spec]).await
}

/// The link whose token has that digest, looked at once more.
///
/// # Errors
/// [`StoreError::NotFound`] where it leads nowhere; it names no digest.
pub async fn count_view(tx: &mut Tx, digest: &str) -> Result<SpecShare, StoreError> {
    let sql = "update spec_shares set n_views = n_views + 1 where org_id = $1 and digest = $2";
    tx.execute(sql, args![digest.to_owned()]).await?;
    let found = tx.find("digest = $2", args![digest.to_owned()]).await?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "shared spec",
        key: "of this link".to_owned(),
    })
}
