//! What people and programs note of attempts.

use omoi_domain::id::{AttemptId, OrgId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// What is noted of an attempt.
    AttemptNote in "attempt_notes" as "note of an attempt" {
        /// The attempt.
        attempt_id: AttemptId,
        /// Whose it is.
        org_id: OrgId,
        /// The conversation that its program says it has.
        conversation_id: Option<String>,
        /// Words that people find it by.
        tags: Json<Vec<String>>,
        /// When it last changed.
        updated_at: Timestamp,
    }
}

/// What is noted of an attempt; nothing where nobody noted anything.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_attempt(tx: &mut Tx, attempt: AttemptId) -> Result<AttemptNote, StoreError> {
    let found = tx.find("attempt_id = $2", args![attempt]).await?;
    Ok(found.unwrap_or_else(|| AttemptNote {
        attempt_id: attempt,
        org_id: tx.org(),
        conversation_id: None,
        tags: Json(Vec::new()),
        updated_at: tx.now(),
    }))
}

/// Keeps a note in place of the one that its attempt had. Whoever calls holds the attempt's task or spec.
///
/// # Errors
/// When the database cannot be written.
pub async fn replace(tx: &mut Tx, note: &AttemptNote) -> Result<(), StoreError> {
    let sql = "delete from attempt_notes where org_id = $1 and attempt_id = $2";
    tx.execute(sql, args![note.attempt_id]).await?;
    let note = AttemptNote {
        updated_at: tx.now(),
        ..note.clone()
    };
    tx.insert(&note).await
}
