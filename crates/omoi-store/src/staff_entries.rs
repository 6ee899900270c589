//! Staff who entered an organisation, and why. Looked up by user before an organisation is known.

use omoi_domain::id::{OrgId, StaffEntryId, UserId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// A stay of a member of staff in an organisation.
    StaffEntry in "staff_entries" as "entry" {
        /// Its id.
        id: StaffEntryId,
        /// Where.
        org_id: OrgId,
        /// Who.
        user_id: UserId,
        /// Why, in their words.
        reason: String,
        /// Since when.
        entered_at: Timestamp,
        /// Until when.
        expires_at: Timestamp,
        /// When they left before that.
        left_at: Option<Timestamp>,
    }
}

impl GlobalRow for StaffEntry {}

/// Keeps a new stay.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, entry: &StaffEntry) -> Result<(), StoreError> {
    tx.insert(entry).await
}

/// Where `user` is now.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_open(tx: &mut Tx, user: UserId) -> Result<Vec<StaffEntry>, StoreError> {
    let now = tx.now();
    let tail = "user_id = $1 and expires_at > $2 and left_at is null order by org_id, id";
    tx.all_global(tail, args![user, now]).await
}

/// The newest stays in `org`, at most 200.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_organisation(tx: &mut Tx, org: OrgId) -> Result<Vec<StaffEntry>, StoreError> {
    let tail = "org_id = $1 order by entered_at desc, id desc limit 200";
    tx.all_global(tail, args![org]).await
}

/// Ends the stays of `user` in `org`; how many there were.
///
/// # Errors
/// When the database cannot be written.
pub async fn end(tx: &mut Tx, org: OrgId, user: UserId) -> Result<u64, StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update staff_entries set left_at = $3
         where org_id = $1 and user_id = $2 and left_at is null and expires_at > $3",
        args![org, user, now],
    )
    .await
}
