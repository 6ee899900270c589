//! Applies to task rows what `omoi_domain::lifecycle` decides: here the actions, below what each
//! transition has to read first.

mod attempt_end;
mod prerequisites;
mod retry_by_person;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::block::TaskBlock;
use omoi_domain::lifecycle::task::{
    TaskAction, UnmetResult, assign_task, cancel_task, send_back_task,
};
use omoi_domain::task::Priority;
use omoi_store::attempts::Attempt;
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, StoreError, Tx, approvals, specs};

use crate::results::settle_results;
use crate::tickets::reopen_ticket_of;

pub use attempt_end::fail_attempted;
pub(crate) use attempt_end::{attempt_lost, follow_up};
pub use prerequisites::follow_prerequisites;
pub use prerequisites::{block_dependents, keeper_of, resolved_by};
pub(crate) use prerequisites::{block_waiting, free_dependents};
pub(crate) use retry_by_person::give_up;
pub use retry_by_person::retry_by_person;

/// The task of an attempt that still belongs to it; none when it moved on under a newer fence.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_attempt(tx: &mut Tx, attempt: &Attempt) -> Result<Option<Task>, StoreError> {
    let AttemptSubject::Task { task_id } = attempt.subject else {
        return Ok(None);
    };
    let task = tasks::get(tx, task_id).await?;
    Ok((task.fence == attempt.fence && task.attempt_id == Some(attempt.id)).then_some(task))
}

/// Notes that the sandbox of a task's attempt is bound.
pub(crate) async fn mark_assigned(tx: &mut Tx, attempt: &Attempt) -> Result<(), StoreError> {
    match of_attempt(tx, attempt).await? {
        Some(mut task) => {
            let actions = assign_task(task.status);
            apply_to_task(tx, &mut task, actions).await
        }
        None => Ok(()),
    }
}

/// Sends a task back for another round with the reason, or fails it when no round is left. Its
/// status is `running`, `validating`, or `completed` when a merge refused it.
///
/// # Errors
/// When the database cannot be written.
pub async fn send_back(tx: &mut Tx, task: &mut Task, unmet: UnmetResult) -> Result<(), StoreError> {
    let actions = send_back_task(task.status, task.round, unmet);
    apply_to_task(tx, task, actions).await
}

/// Applies what a transition decided, in order.
///
/// # Errors
/// When the database cannot be written.
pub fn apply_to_task<'a>(
    tx: &'a mut Tx,
    task: &'a mut Task,
    actions: Vec<TaskAction>,
) -> BoxFuture<'a, Result<(), StoreError>> {
    // Many commands await it: without the box the compiler looks through all of it for each of them.
    apply_task_actions(tx, task, actions).boxed()
}

async fn apply_task_actions(
    tx: &mut Tx,
    task: &mut Task,
    actions: Vec<TaskAction>,
) -> Result<(), StoreError> {
    if actions.iter().any(changes_others) {
        // Before the first row is written: rows are locked in the order of their ids.
        tasks::hold_of_spec(tx, task.spec_id).await?;
    }
    let was_asking = task.blocked_by == Some(TaskBlock::Question);
    // A move writes every field; what changes after the last one is saved at the end.
    let mut is_changed = false;
    for action in actions {
        is_changed |= keep_fields(task, &action);
        match action {
            TaskAction::Move { to, reason } => {
                tasks::transition(tx, task, to, reason).await?;
                settle_results(tx, task).await?;
            }
            TaskAction::FailPermanently { reason } => {
                tasks::fail_permanently(tx, task, reason).await?;
            }
            TaskAction::Block { block, reason } => tasks::block(tx, task, block, reason).await?,
            TaskAction::QueueMerge => queue_merge(tx, task).await?,
            TaskAction::TakeBackLanded { reason } => {
                merges::reopen_landed(tx, task, Some(reason)).await?;
            }
            TaskAction::ReopenTicket => {
                reopen_ticket_of(tx, task).await?;
                continue;
            }
            TaskAction::BlockDependents => {
                block_dependents(tx, task).await?;
                continue;
            }
            TaskAction::BlockWaiting => {
                block_waiting(tx, task).await?;
                continue;
            }
            TaskAction::FreeDependents => {
                free_dependents(tx, task).await?;
                continue;
            }
            TaskAction::KeepRevision(_)
            | TaskAction::KeepError { .. }
            | TaskAction::ClearFaults
            | TaskAction::KeepBase(_)
            | TaskAction::SetRound(_)
            | TaskAction::CountRetry
            | TaskAction::ResetRetries
            | TaskAction::DropNeed
            | TaskAction::WaitUntil(_) => continue,
        }
        is_changed = false;
    }
    if is_changed {
        tasks::save(tx, task).await?;
    }
    if was_asking && task.blocked_by != Some(TaskBlock::Question) {
        // It went on without an answer, or is over.
        approvals::withdraw_of_task(tx, task.id).await?;
    }
    Ok(())
}

/// Whether an action changes other tasks of the spec.
const fn changes_others(action: &TaskAction) -> bool {
    matches!(
        action,
        TaskAction::BlockDependents | TaskAction::BlockWaiting | TaskAction::FreeDependents
    )
}

/// Takes an action that only changes fields into the row; false for any other.
fn keep_fields(task: &mut Task, action: &TaskAction) -> bool {
    match action {
        TaskAction::KeepRevision(revision) => {
            task.revision = Some(Json(revision.clone()));
            task.priority = task.priority.max(Priority::High);
        }
        TaskAction::KeepError { class, message } => {
            if class.is_some() {
                task.error_class = *class;
            }
            task.error_message = Some(message.clone());
        }
        TaskAction::ClearFaults => {
            task.revision = None;
            task.error_message = None;
        }
        TaskAction::KeepBase(commit) => task.base_sha = Some(commit.clone()),
        TaskAction::SetRound(round) => task.round = *round,
        TaskAction::CountRetry => task.retry_count += 1,
        TaskAction::ResetRetries => task.retry_count = 0,
        TaskAction::DropNeed => task.needed = false,
        TaskAction::WaitUntil(at) => task.not_before = *at,
        TaskAction::Move { .. }
        | TaskAction::FailPermanently { .. }
        | TaskAction::Block { .. }
        | TaskAction::QueueMerge
        | TaskAction::TakeBackLanded { .. }
        | TaskAction::ReopenTicket
        | TaskAction::BlockDependents
        | TaskAction::BlockWaiting
        | TaskAction::FreeDependents => return false,
    }
    true
}

/// Queues the merge of a task's head into the branch of its spec.
async fn queue_merge(tx: &mut Tx, task: &mut Task) -> Result<(), StoreError> {
    let spec = specs::get(tx, task.spec_id).await?;
    let incoming = task.head_sha.clone().unwrap_or_default();
    let merge = Merge::of(tx, task, &spec.integration_branch, &incoming);
    merges::queue_merge(tx, &merge, task).await
}

/// Cancels a task. Whatever runs for it is stopped by the reaper.
///
/// # Errors
/// [`StoreError::Transition`] when it is over already.
pub async fn cancel(tx: &mut Tx, task: &mut Task, reason: &str) -> Result<(), StoreError> {
    apply_to_task(tx, task, cancel_task(reason)).await
}
