//! The merge queue of each integration branch.

use omoi_domain::event::{EventKind, MergeChange};
use omoi_domain::id::{MergeId, OrgId, SpecId, TaskId};
use omoi_domain::machine::transition as rule;
use omoi_domain::merge::{ConflictSide, IntegrationState, MergeState};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::{row, versioned};
use crate::tasks::{self, Task};
use crate::tx::Tx;

row! {
    /// One merge of one task branch into one integration branch.
    Merge in "merges" as "merge" {
        /// Its id.
        id: MergeId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// The task whose commits it lands.
        task_id: TaskId,
        /// Where it stands.
        state: MergeState,
        /// The task's level: first part of the order.
        level: i64,
        /// The task's plan ordinal: second part of the order.
        ordinal: i64,
        /// The integration branch.
        target_branch: String,
        /// The task's head.
        incoming_sha: String,
        /// The merge commit under check, later landed.
        merged_sha: Option<String>,
        /// Paths in conflict.
        conflicts: Json<Vec<String>>,
        /// Forecast scores against other queued branches: (task number, conflicting paths).
        forecast: Json<Vec<(i64, u32)>>,
        /// The task that resolves the conflict.
        resolve_task_id: Option<TaskId>,
        /// The side that a person takes in the files that conflict.
        taken_side: Option<ConflictSide>,
        /// What a person said of the conflict who had it tried again.
        person_note: Option<String>,
        /// Times it started over because its target moved.
        restarts: u32,
        /// Why it failed.
        error: Option<String>,
        /// Whether it waits for something the machine lacks.
        lacks_environment: bool,
        /// When it was queued.
        created_at: Timestamp,
        /// When it had its turn.
        started_at: Option<Timestamp>,
        /// When it landed or ended.
        completed_at: Option<Timestamp>,
        /// Guards updates.
        state_version: i64,
    }
}
versioned!(Merge by id in "merges" {
    state, incoming_sha, merged_sha, conflicts, forecast, resolve_task_id, taken_side, person_note, restarts,
    error, lacks_environment, started_at, completed_at,
});

impl Merge {
    /// Whether it waits for something the machine lacks.
    pub fn is_blocked_by_environment(&self) -> bool {
        self.state == MergeState::Manual && self.lacks_environment
    }

    /// The merge of `task`, whose head is `incoming`, into `target`, before its first turn.
    pub fn of(tx: &Tx, task: &Task, target: &str, incoming: &str) -> Self {
        Self {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: task.spec_id,
            task_id: task.id,
            state: MergeState::Pending,
            level: task.level,
            ordinal: task.ordinal,
            target_branch: target.to_owned(),
            incoming_sha: incoming.to_owned(),
            merged_sha: None,
            conflicts: Json(Vec::new()),
            forecast: Json(Vec::new()),
            resolve_task_id: None,
            taken_side: None,
            person_note: None,
            restarts: 0,
            error: None,
            lacks_environment: false,
            created_at: tx.now(),
            started_at: None,
            completed_at: None,
            state_version: 0,
        }
    }
}

/// A move of a merge and why it is made.
#[derive(Clone, Debug)]
pub struct MergeMove {
    /// State after.
    pub to: MergeState,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

impl MergeMove {
    /// A move to `to` that explains itself.
    pub fn to(to: MergeState) -> Self {
        Self { to, reason: None }
    }

    /// The same move for `reason`.
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..self
        }
    }
}

/// Writes a new merge.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, merge: &Merge) -> Result<(), StoreError> {
    tx.insert(merge).await
}

/// Writes a new merge of `task` and puts the task into the merge queue.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn queue_merge(tx: &mut Tx, merge: &Merge, task: &mut Task) -> Result<(), StoreError> {
    insert(tx, merge).await?;
    task.integration_state = IntegrationState::of_merge(merge.state);
    tasks::save(tx, task).await?;
    emit(tx, EventKind::MergeQueued, Some(merge), task, None)
}

/// The merge with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: MergeId) -> Result<Merge, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Merges of a spec in queue order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Merge>, StoreError> {
    tx.all(
        "spec_id = $2 order by level, ordinal, created_at",
        args![spec],
    )
    .await
}

/// The open merge of a task, if any.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_of_task(tx: &mut Tx, task: TaskId) -> Result<Option<Merge>, StoreError> {
    tx.find(
        "task_id = $2 and state in ('pending', 'in_progress', 'resolving', 'verifying', 'manual')",
        args![task],
    )
    .await
}

/// Moves a merge along its machine and its task's integration state with it, writes the fields of
/// both and the event that the table names.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn transition(
    tx: &mut Tx,
    merge: &mut Merge,
    task: &mut Task,
    step: MergeMove,
) -> Result<(), StoreError> {
    let kind = rule(merge.state, step.to)?;
    merge.state = step.to;
    merge.lacks_environment &= step.to == MergeState::Manual;
    match step.to {
        MergeState::InProgress => merge.started_at = Some(tx.now()),
        MergeState::Completed | MergeState::Failed | MergeState::Cancelled => {
            merge.completed_at = Some(tx.now());
        }
        _ => {}
    }
    tx.update(merge).await?;
    task.integration_state = IntegrationState::of_merge(merge.state);
    tasks::save(tx, task).await?;
    emit(tx, kind, Some(merge), task, step.reason)
}

/// Writes changed fields other than the state.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn save(tx: &mut Tx, merge: &mut Merge) -> Result<(), StoreError> {
    tx.update(merge).await
}

/// Takes landed work of `task` back for a new round; its commits stay in the integration branch.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn reopen_landed(
    tx: &mut Tx,
    task: &mut Task,
    reason: Option<String>,
) -> Result<(), StoreError> {
    task.integration_state = IntegrationState::None;
    tasks::save(tx, task).await?;
    emit(tx, EventKind::MergeRefused, None, task, reason)
}

fn emit(
    tx: &mut Tx,
    kind: EventKind,
    merge: Option<&Merge>,
    task: &Task,
    reason: Option<String>,
) -> Result<(), StoreError> {
    let change = MergeChange {
        merge_id: merge.map(|m| m.id),
        task_id: task.id,
        number: task.number,
        target_branch: merge.map(|m| m.target_branch.clone()).unwrap_or_default(),
        merge_state: merge.map(|m| m.state),
        state: task.integration_state,
        conflicts: merge.map(|m| m.conflicts.0.clone()).unwrap_or_default(),
        result_sha: merge.and_then(|m| m.merged_sha.clone()),
        resolve_task: merge.and_then(|m| m.resolve_task_id),
        forecast: merge.map(|m| m.forecast.0.clone()).unwrap_or_default(),
        reason,
    };
    tx.emit_kind((Some(task.project_id), Some(task.spec_id)), kind, &change)
}
