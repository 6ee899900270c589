//! Tasks: the unit one agent works on, their edges and the queue.

mod claim;
mod counters;
mod dependencies;
mod edits;
mod listing;
mod numbers;
mod standing;

use std::collections::BTreeMap;

use omoi_domain::block::TaskBlock;
use omoi_domain::event::{Event, EventKind, TaskChange};
use omoi_domain::id::{AttemptId, MergeId, OrgId, ProjectId, SpecId, TaskId, TicketId};
use omoi_domain::machine::transition as rule;
use omoi_domain::merge::IntegrationState;
use omoi_domain::retry::ErrorClass;
use omoi_domain::task::{Priority, TaskRevision, TaskStatus, TaskType, TicketPhase};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::{Column, Json};
use crate::error::StoreError;
use crate::row::{row, versioned};
use crate::search_documents;
use crate::tx::Tx;

pub use claim::{CLAIMED_MAX, NewClaim, QueueScan, claim, eligible, keep_score, next_due};
pub use counters::{hold_around_ticket, hold_tasks};
pub(crate) use counters::{ticket_moved, ticket_waits};
pub use dependencies::{
    depend, dependencies, dependencies_of_project, dependent_counts, drop_dependency,
    order_of_project, require,
};
pub use edits::save_edited;
pub(crate) use listing::{PRIORITY_RANK, rank_of_priority};
pub use listing::{TaskFilter, list_page};
pub use numbers::{TaskNumbers, numbers_around};
pub use standing::{TaskStanding, get_as_seen, standing_of_spec};

row! {
    /// The unit one agent works on.
    Task in "tasks" as "task" {
        /// Its id.
        id: TaskId,
        /// Its organisation.
        org_id: OrgId,
        /// Its repository.
        project_id: ProjectId,
        /// Its spec.
        spec_id: SpecId,
        /// Its ticket.
        ticket_id: TicketId,
        /// `n` of the project's `TSK-n`.
        number: i64,
        /// The plan's `TSK-n`; for work found on the way `DIS-n`, for what people added `ADD-n`, for resolutions
        /// `RES-n`.
        local_id: String,
        /// Its title.
        title: String,
        /// What the agent is told.
        description: String,
        /// The kind of work.
        task_type: TaskType,
        /// The phase of its ticket it belongs to.
        phase_id: TicketPhase,
        /// Its priority.
        priority: Priority,
        /// Where it stands.
        status: TaskStatus,
        /// The queue score of the last scan.
        score: f64,
        /// Longest chain of prerequisites before it.
        level: i64,
        /// Position in the plan.
        ordinal: i64,
        /// The plan's estimate.
        estimated_hours: f64,
        /// Files it will create or change.
        files: Json<Vec<String>>,
        /// Requirements it serves, `REQ-…`.
        requirements: Json<Vec<String>>,
        /// Its branch in the mirror.
        branch: String,
        /// The commit its branch was cut from.
        base_sha: Option<String>,
        /// Its head, once an agent said done.
        head_sha: Option<String>,
        /// Where its commits stand.
        integration_state: IntegrationState,
        /// Times it was sent back.
        round: u32,
        /// Times it was tried again after an error.
        retry_count: u32,
        /// Most such tries.
        max_retries: u32,
        /// Starts without the project's autonomy.
        force_execute: bool,
        /// Whether the spec fails when it fails; work found on the way may be optional.
        needed: bool,
        /// Earliest next dispatch.
        not_before: Timestamp,
        /// When it is due.
        deadline_at: Option<Timestamp>,
        /// Wall time of one attempt.
        timeout_seconds: i64,
        /// Grows with every claim.
        fence: i64,
        /// The attempt at work, or the last one.
        attempt_id: Option<AttemptId>,
        /// Why it was sent back.
        revision: Option<Json<TaskRevision>>,
        /// Class of the last error.
        error_class: Option<ErrorClass>,
        /// The last error.
        error_message: Option<String>,
        /// What it waits for, when it is blocked.
        blocked_by: Option<TaskBlock>,
        /// The same in words for people.
        blocked_reason: Option<String>,
        /// The task whose agent found it.
        parent_task_id: Option<TaskId>,
        /// How many discoveries led here.
        discovery_depth: u32,
        /// The merge it resolves.
        resolves_merge_id: Option<MergeId>,
        /// What the agent says it did.
        summary: Option<String>,
        /// Guards updates.
        state_version: i64,
        /// When it entered the queue; retries do not reset it.
        queued_at: Timestamp,
        /// When its agent last began.
        started_at: Option<Timestamp>,
        /// When its checks passed.
        completed_at: Option<Timestamp>,
        /// When it was written.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}
versioned!(Task by id in "tasks" {
    title, description, task_type, priority, status, score, level, ordinal, estimated_hours, files,
    requirements, branch, base_sha, head_sha, integration_state, round, retry_count, max_retries,
    force_execute, needed, not_before, deadline_at, timeout_seconds, fence, attempt_id, revision,
    error_class, error_message, blocked_by, blocked_reason, resolves_merge_id, summary, queued_at,
    started_at, completed_at, updated_at,
});

impl Task {
    /// Its number with enough of its id to tell it from one of another project.
    pub fn label(&self) -> String {
        format!("TSK-{:03} ({})", self.number, self.id.short())
    }

    /// Whether it waits for something the machine lacks, the model provider or a budget.
    pub fn waits_for_outside(&self) -> bool {
        self.blocked_by.is_some_and(TaskBlock::is_outside)
    }

    /// A task of the same ticket with a new id, otherwise as this one before it ever ran.
    pub fn fresh(&self, tx: &Tx) -> Self {
        let now = tx.now();
        Self {
            id: tx.new_id(),
            status: TaskStatus::Pending,
            score: 0.0,
            base_sha: None,
            head_sha: None,
            integration_state: IntegrationState::None,
            round: 0,
            retry_count: 0,
            not_before: now,
            fence: 0,
            attempt_id: None,
            revision: None,
            error_class: None,
            error_message: None,
            blocked_by: None,
            blocked_reason: None,
            parent_task_id: None,
            resolves_merge_id: None,
            summary: None,
            state_version: 0,
            queued_at: now,
            started_at: None,
            completed_at: None,
            created_at: now,
            updated_at: now,
            ..self.clone()
        }
    }

    fn change(&self, from: Option<TaskStatus>, reason: Option<String>) -> TaskChange {
        TaskChange {
            task_id: self.id,
            ticket_id: self.ticket_id,
            number: self.number,
            title: self.title.clone(),
            task_type: self.task_type,
            from,
            to: self.status,
            blocked_by: self.blocked_by,
            attempt_id: self.attempt_id,
            round: self.round,
            reason,
        }
    }
}

/// Writes a new task.
///
/// # Errors
/// [`StoreError::Exists`] when its number or local id is taken.
pub async fn insert(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    counters::insert(tx, task).await?;
    search_documents::index_task(tx, task).await?;
    let change = task.change(None, None);
    tx.emit(
        Some(task.project_id),
        Some(task.spec_id),
        Event::TaskCreated(change),
    );
    Ok(())
}

/// The task with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: TaskId) -> Result<Task, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Tasks of a spec in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Task>, StoreError> {
    tx.all("spec_id = $2 order by level, ordinal, number", args![spec])
        .await
}

/// As [`of_spec`], and nobody else changes them until the transaction ends.
///
/// # Errors
/// When the database cannot be read.
pub async fn held_of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Task>, StoreError> {
    hold_of_spec(tx, spec).await?;
    of_spec(tx, spec).await
}

/// As [`hold_tasks`], for all tasks of a spec: for whoever finds out only later which of them change.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_of_spec(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    let sql = "select id from tasks where org_id = $1 and spec_id = $2 order by id";
    tx.locked_rows(sql, args![spec]).await?;
    Ok(())
}

/// Tasks that are blocked because of `prerequisite`, in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn blocked_by(tx: &mut Tx, prerequisite: TaskId) -> Result<Vec<Task>, StoreError> {
    tx.all(
        "blocked_by_id = $2 order by level, ordinal, number",
        args![prerequisite],
    )
    .await
}

/// Tasks of a ticket in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_ticket(tx: &mut Tx, ticket: TicketId) -> Result<Vec<Task>, StoreError> {
    tx.all(
        "ticket_id = $2 order by level, ordinal, number",
        args![ticket],
    )
    .await
}

/// Tasks in `status`, the longest unchanged first.
///
/// # Errors
/// When the database cannot be read.
pub async fn with_status(tx: &mut Tx, status: TaskStatus) -> Result<Vec<Task>, StoreError> {
    tx.all("status = $2 order by updated_at, id", args![status])
        .await
}

/// How many there are of each status that occurs.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_by_status(tx: &mut Tx) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows = tx
        .rows(
            "select status, count(*) as n from tasks where org_id = $1 group by status",
            args![],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((String::read(row, "status")?, i64::read(row, "n")?)))
        .collect()
}

/// Tasks numbered `number`, newest first: a number counts per project.
///
/// # Errors
/// When the database cannot be read.
pub async fn numbered(tx: &mut Tx, number: i64) -> Result<Vec<Task>, StoreError> {
    tx.all(
        "number = $2 order by created_at desc, id desc",
        args![number],
    )
    .await
}

/// Moves a task along its machine, writes its fields and the event the table names.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn transition(
    tx: &mut Tx,
    task: &mut Task,
    to: TaskStatus,
    reason: Option<String>,
) -> Result<(), StoreError> {
    let kind = rule(task.status, to)?;
    let step = StatusMove { to, kind, reason };
    write_move(tx, task, step).await
}

/// Has a task wait for `block`; `reason` says the same to people.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn block(
    tx: &mut Tx,
    task: &mut Task,
    block: TaskBlock,
    reason: String,
) -> Result<(), StoreError> {
    task.blocked_by = Some(block);
    task.blocked_reason = Some(reason.clone());
    transition(tx, task, TaskStatus::Blocked, Some(reason)).await
}

/// Fails a task that no retry follows, which is an event of its own.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn fail_permanently(
    tx: &mut Tx,
    task: &mut Task,
    reason: String,
) -> Result<(), StoreError> {
    rule(task.status, TaskStatus::Failed)?;
    let step = StatusMove {
        to: TaskStatus::Failed,
        kind: EventKind::TaskPermanentlyFailed,
        reason: Some(reason),
    };
    write_move(tx, task, step).await
}

/// A move that the machine allows, and the event that tells of it.
struct StatusMove {
    to: TaskStatus,
    kind: EventKind,
    reason: Option<String>,
}

/// Writes a move with the counters that follow the status, and its event.
async fn write_move(tx: &mut Tx, task: &mut Task, step: StatusMove) -> Result<(), StoreError> {
    let StatusMove { to, kind, reason } = step;
    let from = task.status;
    task.status = to;
    task.updated_at = tx.now();
    if to != TaskStatus::Blocked {
        task.blocked_by = None;
        task.blocked_reason = None;
    }
    match to {
        TaskStatus::Running => task.started_at = Some(tx.now()),
        TaskStatus::Completed => task.completed_at = Some(tx.now()),
        TaskStatus::Blocked
        | TaskStatus::Pending
        | TaskStatus::PendingValidation
        | TaskStatus::Claiming
        | TaskStatus::Assigned
        | TaskStatus::Validating
        | TaskStatus::NeedsRevision
        | TaskStatus::Failed
        | TaskStatus::Cancelled => {}
    }
    counters::write(tx, task).await?;
    let change = task.change(Some(from), reason);
    tx.emit_kind((Some(task.project_id), Some(task.spec_id)), kind, &change)
}

/// Writes changed fields other than the status.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn save(tx: &mut Tx, task: &mut Task) -> Result<(), StoreError> {
    task.updated_at = tx.now();
    counters::write(tx, task).await
}
