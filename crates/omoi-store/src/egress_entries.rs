//! What attempts asked for from outside: what came in, and what was refused.

use omoi_domain::egress::EgressOutcome;
use omoi_domain::id::{AttemptId, EgressEntryId, OrgId, SpecId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A file that came in, or something that was refused.
    EgressEntry in "egress_entries" as "entry of the way out" {
        /// Its id.
        id: EgressEntryId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec of the attempt.
        spec_id: SpecId,
        /// The attempt.
        attempt_id: AttemptId,
        /// What became of it.
        outcome: EgressOutcome,
        /// The version of a package, or the host with its port.
        target: String,
        /// Why it was refused.
        reason: Option<String>,
        /// The name of the file, or what else there is to know of the refusal.
        detail: String,
        /// The line of the configuration that would let it through.
        remedy: Option<String>,
        /// SHA-256 of what came in.
        digest: Option<String>,
        /// Its size.
        bytes: Option<i64>,
        /// When it was noted.
        created_at: Timestamp,
    }
}

/// Stores an entry.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, entry: &EgressEntry) -> Result<(), StoreError> {
    tx.insert(entry).await
}

/// Entries of an attempt, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_attempt(tx: &mut Tx, attempt: AttemptId) -> Result<Vec<EgressEntry>, StoreError> {
    tx.all("attempt_id = $2 order by created_at, id", args![attempt])
        .await
}

/// Entries of a spec, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<EgressEntry>, StoreError> {
    tx.all("spec_id = $2 order by created_at, id", args![spec])
        .await
}
