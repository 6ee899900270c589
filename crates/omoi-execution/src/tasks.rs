//! How a task moves on: bound, sent back, failed, blocked, called off, tried again.

mod prerequisites;

use omoi_domain::attempt::{AttemptState, AttemptStopReason, AttemptSubject, SubjectKind};
use omoi_domain::id::ProjectId;
use omoi_domain::lifecycle::task::{
    ProviderFailure, TaskAction, TaskFailure, UnmetResult, fail_task, provider_failed,
    send_back_task,
};
use omoi_domain::machine::transition as rule;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::outage::is_provider_failure;
use omoi_domain::retry::{self, ErrorClass};
use omoi_domain::task::{Priority, TaskStatus};
use omoi_store::attempts::{self, Attempt};
use omoi_store::merges::{self, Merge, MergeMove};
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, StoreError, Tx};

use crate::attempt::Loss;
use crate::platform::Platform;
use crate::{disk_room, outage};

pub use prerequisites::{block_dependents, block_waiting, lost_prerequisite, resolved_by};

use prerequisites::unblock_dependents;

/// Why a merge goes back into its queue.
const MERGE_AGAIN: &str = "its merge is tried again";

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

/// Whether a task is in the hands of its attempt.
pub(crate) const fn is_worked_on(status: TaskStatus) -> bool {
    matches!(
        status,
        TaskStatus::Claiming | TaskStatus::Assigned | TaskStatus::Running
    )
}

/// Notes that the sandbox of a task's attempt is bound.
pub(crate) async fn assigned(tx: &mut Tx, attempt: &Attempt) -> Result<(), StoreError> {
    if let Some(mut task) = of_attempt(tx, attempt).await?
        && task.status == TaskStatus::Claiming
    {
        tasks::transition(tx, &mut task, TaskStatus::Assigned, None).await?;
    }
    Ok(())
}

/// Sends a task back for another round with the reason, or fails it when no round is left. Its
/// status is `running`, `validating`, or `completed` when a merge refused it.
///
/// # Errors
/// When the database cannot be written.
pub async fn send_back(tx: &mut Tx, task: &mut Task, unmet: UnmetResult) -> Result<(), StoreError> {
    let actions = send_back_task(task.status, task.round, unmet);
    apply(tx, task, actions).await
}

/// Applies what a transition decided, in order.
///
/// # Errors
/// When the database cannot be written.
pub(crate) async fn apply(
    tx: &mut Tx,
    task: &mut Task,
    actions: Vec<TaskAction>,
) -> Result<(), StoreError> {
    // A move writes every field; what changes after the last one is saved at the end.
    let mut is_changed = false;
    for action in actions {
        is_changed |= keep(task, &action);
        match action {
            TaskAction::Move { to, reason } => {
                tasks::transition(tx, task, to, Some(reason)).await?;
            }
            TaskAction::FailPermanently { reason } => {
                tasks::fail_permanently(tx, task, reason).await?;
            }
            TaskAction::Block { block, reason } => tasks::block(tx, task, block, reason).await?,
            TaskAction::BlockDependents => {
                block_dependents(tx, task).await?;
                continue;
            }
            TaskAction::BlockWaiting => {
                block_waiting(tx, task).await?;
                continue;
            }
            TaskAction::KeepRevision(_)
            | TaskAction::KeepError { .. }
            | TaskAction::SetRound(_)
            | TaskAction::CountRetry
            | TaskAction::WaitUntil(_) => continue,
        }
        is_changed = false;
    }
    if is_changed {
        tasks::save(tx, task).await?;
    }
    Ok(())
}

/// Takes an action that only changes fields into the row; false for any other.
fn keep(task: &mut Task, action: &TaskAction) -> bool {
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
        TaskAction::SetRound(round) => task.round = *round,
        TaskAction::CountRetry => task.retry_count += 1,
        TaskAction::WaitUntil(at) => task.not_before = *at,
        TaskAction::Move { .. }
        | TaskAction::FailPermanently { .. }
        | TaskAction::Block { .. }
        | TaskAction::BlockDependents
        | TaskAction::BlockWaiting => return false,
    }
    true
}

/// A limit on tasks at work that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The project's.
    Project,
    /// That of all projects.
    Everywhere,
}

/// The limit that keeps another task of `project` from work, if any. Inside a transaction that then
/// takes the slot nobody else can take it first.
///
/// # Errors
/// When the database cannot be read.
pub async fn full(
    tx: &mut Tx,
    platform: &Platform,
    project: ProjectId,
) -> Result<Option<Full>, StoreError> {
    let (own, total) = tasks::slots(tx, project).await?;
    Ok(if total >= platform.settings.global_slots {
        Some(Full::Everywhere)
    } else if own >= platform.settings.project_slots {
        Some(Full::Project)
    } else {
        None
    })
}

/// Moves the task of an attempt that the platform gave up.
pub(crate) async fn attempt_lost(
    tx: &mut Tx,
    platform: &Platform,
    attempt: &Attempt,
    loss: &Loss,
) -> Result<(), StoreError> {
    let Some(mut task) = of_attempt(tx, attempt).await? else {
        return Ok(());
    };
    if !is_worked_on(task.status) {
        return Ok(());
    }
    if loss.stop_reason == AttemptStopReason::DiskLow {
        return disk_room::task_stopped(tx, &mut task, &loss.message).await;
    }
    if !loss.counts {
        let reason = Some(loss.stop_reason.to_string());
        return tasks::transition(tx, &mut task, TaskStatus::Pending, reason).await;
    }
    fail(tx, platform, &mut task, loss.class, &loss.message).await
}

/// Fails a task and, where its class and its count allow, puts it back into the queue after a pause.
///
/// # Errors
/// When the database cannot be written.
pub async fn fail(
    tx: &mut Tx,
    platform: &Platform,
    task: &mut Task,
    class: ErrorClass,
    message: &str,
) -> Result<(), StoreError> {
    if is_provider_failure(class) {
        return fail_of_provider(tx, platform, task, class, message).await;
    }
    let attempts = attempts::of_task(tx, task.id).await?;
    // An attempt that was lost or stopped says nothing about the task.
    let failed = attempts.iter().filter(|a| a.state == AttemptState::Failed);
    let failures: Vec<(ErrorClass, String)> = failed
        .filter_map(|a| Some((a.error_class?, a.error_message.clone()?)))
        .collect();
    let (low, high) = (*retry::JITTER.start(), *retry::JITTER.end());
    let actions = fail_task(TaskFailure {
        task_type: task.task_type,
        retry_count: task.retry_count,
        max_retries: task.max_retries,
        class,
        message,
        failures: &failures,
        now: tx.now(),
        jitter: low + (high - low) * platform.rng.unit(),
    });
    apply(tx, task, actions).await
}

/// Has a task whose attempt the model provider failed wait: for its next try, or for a person.
async fn fail_of_provider(
    tx: &mut Tx,
    platform: &Platform,
    task: &mut Task,
    class: ErrorClass,
    message: &str,
) -> Result<(), StoreError> {
    let subject = AttemptSubject::Task { task_id: task.id };
    let step = outage::step(tx, platform, (task.spec_id, subject), class).await?;
    let actions = provider_failed(ProviderFailure {
        status: task.status,
        class,
        reason: outage::reason(class, message),
        step,
    });
    apply(tx, task, actions).await
}

/// Calls a task off. Whatever runs for it is stopped by the reaper.
///
/// # Errors
/// [`StoreError::Transition`] when it is over already.
pub async fn cancel(tx: &mut Tx, task: &mut Task, reason: &str) -> Result<(), StoreError> {
    tasks::transition(tx, task, TaskStatus::Cancelled, Some(reason.to_owned())).await?;
    block_dependents(tx, task).await
}

/// Puts a task that failed or was called off, or one whose merge waits for a person, back into the
/// queue with all its rounds, and frees what waited for it.
///
/// # Errors
/// [`StoreError::Transition`] when neither is so.
pub async fn retry(tx: &mut Tx, task: &mut Task) -> Result<(), StoreError> {
    if let Some(mut merge) = given_up(tx, task).await? {
        return merge_again(tx, task, &mut merge).await;
    }
    if let Some(mut merge) = merges::open_of_task(tx, task.id).await?
        && merge.is_blocked_by_environment()
    {
        // Its work is done and its checks said nothing against it.
        requeue(tx, &mut merge, task).await?;
        return unblock_dependents(tx, task).await;
    }
    let landing =
        task.status == TaskStatus::Completed && task.integration_state != IntegrationState::Manual;
    if landing {
        // Completed work may go back to the queue, but only its merge may send it there.
        rule(task.status, TaskStatus::Failed)?;
    }
    if task.status == TaskStatus::Cancelled && task.resolves_merge_id.is_some() {
        // What it resolved is tried again, or landed: nothing needs this resolution.
        rule(task.status, task.status)?;
    }
    task.round = 0;
    task.retry_count = 0;
    task.not_before = tx.now();
    if let Some(mut merge) = merges::open_of_task(tx, task.id).await?
        && task.integration_state == IntegrationState::Manual
    {
        let step = MergeMove::to(MergeState::Cancelled).because("its task is tried again");
        merges::transition(tx, &mut merge, task, step).await?;
        if let Some(resolve) = merge.resolve_task_id {
            let mut resolve = tasks::get(tx, resolve).await?;
            let reason = format!("TSK-{:03} is tried again", task.number);
            drop_resolution(tx, &mut resolve, reason).await?;
            unblock_dependents(tx, &resolve).await?;
        }
    }
    let reason = Some("retried by a person".to_owned());
    let to = match waits_with_its_checks(tx, task).await? {
        true => TaskStatus::PendingValidation,
        false => TaskStatus::Pending,
    };
    tasks::transition(tx, task, to, reason).await?;
    unblock_dependents(tx, task).await
}

/// Whether it was its checks that found the machine lacking: its work is done, and an agent that is asked
/// again would have nothing to change.
async fn waits_with_its_checks(tx: &mut Tx, task: &Task) -> Result<bool, StoreError> {
    if !task.waits_for_outside() {
        return Ok(false);
    }
    let all = attempts::of_task(tx, task.id).await?;
    Ok(all
        .last()
        .is_some_and(|last| last.subject.kind() == SubjectKind::TaskChecks))
}

/// The merge that a resolution which failed or was called off leaves to a person.
async fn given_up(tx: &mut Tx, task: &Task) -> Result<Option<Merge>, StoreError> {
    let (TaskStatus::Failed | TaskStatus::Cancelled, Some(id)) =
        (task.status, task.resolves_merge_id)
    else {
        return Ok(None);
    };
    let merge = merges::get(tx, id).await?;
    let is_left = matches!(merge.state, MergeState::Manual | MergeState::Resolving);
    Ok(is_left.then_some(merge))
}

/// Queues the merge of `source` with all its tries.
async fn requeue(tx: &mut Tx, merge: &mut Merge, source: &mut Task) -> Result<(), StoreError> {
    merge.restarts = 0;
    merge.error = None;
    let step = MergeMove::to(MergeState::Pending).because(MERGE_AGAIN);
    merges::transition(tx, merge, source, step).await
}

/// Queues a merge whose resolution failed. Should it conflict again, a new task resolves it from
/// the head of then, so this one is over.
async fn merge_again(tx: &mut Tx, task: &mut Task, merge: &mut Merge) -> Result<(), StoreError> {
    drop_resolution(tx, task, MERGE_AGAIN.to_owned()).await?;
    let mut source = tasks::get(tx, merge.task_id).await?;
    requeue(tx, merge, &mut source).await?;
    unblock_dependents(tx, task).await?;
    unblock_dependents(tx, &source).await
}

/// Ends a resolution that nothing needs any more; one that is done is done.
async fn drop_resolution(
    tx: &mut Tx,
    resolve: &mut Task,
    reason: String,
) -> Result<(), StoreError> {
    resolve.needed = false;
    match resolve.status {
        TaskStatus::Cancelled | TaskStatus::Completed => tasks::save(tx, resolve).await,
        _ => tasks::transition(tx, resolve, TaskStatus::Cancelled, Some(reason)).await,
    }
}
