//! Sandboxes: where attempts run.

use omoi_domain::attempt::AttemptStopReason;
use omoi_domain::event::SandboxChange;
use omoi_domain::id::{AttemptId, OrgId, ProjectId, SandboxId, SpecId};
use omoi_domain::machine::transition as rule;
use omoi_domain::sandbox::{SandboxRung, SandboxState, StartStep};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::{row, versioned};
use crate::tx::Tx;

row! {
    /// A place where one attempt runs.
    Sandbox in "sandboxes" as "sandbox" {
        /// Its id.
        id: SandboxId,
        /// Its organisation.
        org_id: OrgId,
        /// Its attempt.
        attempt_id: AttemptId,
        /// The rung: `bubblewrap`, `process`.
        provider: SandboxRung,
        /// Where it stands.
        state: SandboxState,
        /// Properties that hold, or why not.
        held: Json<Vec<(String, Option<String>)>>,
        /// Read-only mounts beyond the system's.
        mounts: Json<Vec<String>>,
        /// How its start went so far.
        start_steps: Json<Vec<StartStep>>,
        /// Why it ended.
        reason: Option<AttemptStopReason>,
        /// When it was made.
        created_at: Timestamp,
        /// Guards updates.
        state_version: i64,
    }
}
versioned!(Sandbox by id in "sandboxes" { state, held, mounts, reason });

/// Writes a new sandbox.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, sandbox: &Sandbox) -> Result<(), StoreError> {
    tx.insert(sandbox).await
}

/// The sandbox of an attempt.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn of_attempt(tx: &mut Tx, attempt: AttemptId) -> Result<Sandbox, StoreError> {
    tx.get(
        attempt,
        "attempt_id = $2 order by created_at desc limit 1",
        args![attempt],
    )
    .await
}

/// Sandboxes whose processes may still exist.
///
/// # Errors
/// When the database cannot be read.
pub async fn all_live(tx: &mut Tx) -> Result<Vec<Sandbox>, StoreError> {
    tx.all(
        "state in ('pending', 'creating', 'running', 'completing') order by created_at",
        args![],
    )
    .await
}

/// Moves a sandbox along its machine and writes the event the table names.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn transition(
    tx: &mut Tx,
    scope: (ProjectId, SpecId),
    sandbox: &mut Sandbox,
    to: SandboxState,
) -> Result<(), StoreError> {
    let from = sandbox.state;
    let kind = rule(from, to)?;
    sandbox.state = to;
    tx.update(sandbox).await?;
    let change = SandboxChange {
        sandbox_id: sandbox.id,
        attempt_id: sandbox.attempt_id,
        from,
        to,
        rung: sandbox.provider,
        reason: sandbox.reason,
    };
    tx.emit_kind((Some(scope.0), Some(scope.1)), kind, &change)
}
