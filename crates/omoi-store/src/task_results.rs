//! What agents and people say came of tasks.

use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::event::{Event, TaskResultChange};
use omoi_domain::id::{OrgId, ProjectId, TaskId, TaskResultId, UserId};
use omoi_domain::machine::transition as rule;
use omoi_domain::time::Timestamp;
use omoi_domain::work_result::{ResultType, VerificationStatus};

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row::{row, versioned};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tasks::Task;
use crate::tx::Tx;

row! {
    /// What somebody says came of a task.
    TaskResult in "task_results" as "result" {
        /// Its id.
        id: TaskResultId,
        /// Its organisation.
        org_id: OrgId,
        /// The project of the task.
        project_id: ProjectId,
        /// The task.
        task_id: TaskId,
        /// What it tells of.
        result_type: ResultType,
        /// One line about it.
        summary: String,
        /// The text, in Markdown.
        content: String,
        /// Whether what it says holds.
        status: VerificationStatus,
        /// Who submitted it.
        actor: Actor,
        /// The person who judged it.
        judged_by_id: Option<UserId>,
        /// When it was judged.
        judged_at: Option<Timestamp>,
        /// Why it was judged so.
        feedback: Option<String>,
        /// Guards updates.
        state_version: i64,
        /// When it was submitted.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}
versioned!(TaskResult by id in "task_results" { status, judged_by_id, judged_at, feedback, updated_at });

impl ListedRow for TaskResult {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[SortColumn {
        name: "created_at",
        sql: "created_at",
        value: SortValue::Instant,
        of_row: |result| result.created_at.as_micros(),
    }];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

/// What is submitted.
#[derive(Clone, Debug)]
pub struct NewTaskResult {
    /// What it tells of.
    pub result_type: ResultType,
    /// One line about it.
    pub summary: String,
    /// The text, in Markdown.
    pub content: String,
}

impl TaskResult {
    fn change(&self) -> TaskResultChange {
        TaskResultChange {
            task_result_id: self.id,
            task_id: self.task_id,
            verification_status: self.status,
            summary: self.summary.clone(),
        }
    }
}

/// Writes down what whoever acts says came of `task`.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert_result(
    tx: &mut Tx,
    task: &Task,
    new: NewTaskResult,
) -> Result<TaskResult, StoreError> {
    let result = TaskResult {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: task.project_id,
        task_id: task.id,
        result_type: new.result_type,
        summary: new.summary,
        content: new.content,
        status: VerificationStatus::Unverified,
        actor: tx.current_actor(),
        judged_by_id: None,
        judged_at: None,
        feedback: None,
        state_version: 0,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    tx.insert(&result).await?;
    let event = Event::TaskResultSubmitted(result.change());
    tx.emit(Some(task.project_id), Some(task.spec_id), event);
    Ok(result)
}

/// Judges a result; where a person acts, they are who judged.
///
/// # Errors
/// [`StoreError::Transition`] when it was judged already, [`StoreError::Conflict`].
pub async fn judge_result(
    tx: &mut Tx,
    result: &mut TaskResult,
    to: VerificationStatus,
    feedback: Option<&str>,
) -> Result<(), StoreError> {
    let kind = rule(result.status, to)?;
    result.status = to;
    result.judged_by_id = match tx.current_actor() {
        Actor::User(user) => Some(user),
        Actor::Key(_) | Actor::Agent(_) | Actor::System => None,
    };
    result.judged_at = Some(tx.now());
    result.feedback = feedback.map(ToOwned::to_owned);
    result.updated_at = tx.now();
    tx.update(result).await?;
    let change = result.change();
    tx.emit_kind((Some(result.project_id), None), kind, &change)
}

/// The result with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: TaskResultId) -> Result<TaskResult, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Results of a task that nobody has judged, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_unverified(tx: &mut Tx, task: TaskId) -> Result<Vec<TaskResult>, StoreError> {
    tx.all(
        "task_id = $2 and status = 'unverified' order by created_at, id",
        args![task],
    )
    .await
}

/// How many results a task has.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_of_task(tx: &mut Tx, task: TaskId) -> Result<u32, StoreError> {
    let rows = tx
        .rows(
            "select count(*) as n from task_results where org_id = $1 and task_id = $2",
            args![task],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| u32::read(row, "n"))
}

/// A page of the results of `task`.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    task: TaskId,
    window: &ListWindow,
    request: &PageRequest<TaskResult>,
) -> Result<RowPage<TaskResult>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("task_id", &[task])?;
    conditions.within_window(window)?;
    conditions.read_page(tx, request).await
}
