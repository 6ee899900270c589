//! Offers to own an organisation: at most one of each, until somebody accepts it.

use omoi_domain::id::{OrgId, UserId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// An offer to own an organisation.
    OwnershipOffer in "ownership_offers" as "offer" {
        /// The organisation.
        org_id: OrgId,
        /// To whom.
        to_user_id: UserId,
        /// By which owner.
        offered_by_id: UserId,
        /// When it ends.
        expires_at: Timestamp,
    }
}

/// The offer of the transaction's organisation, if it has not ended.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_open(tx: &mut Tx) -> Result<Option<OwnershipOffer>, StoreError> {
    let now = tx.now();
    tx.find("expires_at > $2", args![now]).await
}

/// Keeps an offer in place of an earlier one.
///
/// # Errors
/// When the database cannot be written.
pub async fn replace(tx: &mut Tx, offer: &OwnershipOffer) -> Result<(), StoreError> {
    delete(tx).await?;
    tx.insert(offer).await
}

/// Takes the offer back; whether there was one.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete(tx: &mut Tx) -> Result<bool, StoreError> {
    let sql = "delete from ownership_offers where org_id = $1";
    Ok(tx.execute(sql, args![]).await? > 0)
}
