//! A task that a person has tried again: what is read for it, and how the answer is applied.

use omoi_domain::attempt::SubjectKind;
use omoi_domain::lifecycle::task::{RetriedTask, TaskRetry, end_resolution, retry_task};
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_store::merges::{self, Merge, MergeMove};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx, attempts};

use super::{apply_to_task, free_dependents};

/// Why a merge goes back into its queue.
const MERGE_AGAIN: &str = "its merge is tried again";

/// The merges that a retry of a task may concern.
struct RetryMerges {
    /// The one whose conflict the task resolves.
    resolved: Option<Merge>,
    /// The open one of its own work.
    own: Option<Merge>,
}

/// Puts a task that failed or was cancelled, or one whose merge waits for a person, back into the
/// queue with all its rounds, and frees what waited for it.
///
/// # Errors
/// [`StoreError::Transition`] when neither is so.
pub async fn retry_by_person(tx: &mut Tx, task: &mut Task) -> Result<(), StoreError> {
    let merges = RetryMerges {
        resolved: match task.resolves_merge_id {
            Some(id) => Some(merges::get(tx, id).await?),
            None => None,
        },
        own: merges::open_of_task(tx, task.id).await?,
    };
    let own = merges.own.as_ref();
    let retried = RetriedTask {
        status: task.status,
        integration_state: task.integration_state,
        resolved_merge: merges.resolved.as_ref().map(|merge| merge.state),
        merge_lacks_environment: own.is_some_and(Merge::is_blocked_by_environment),
        checks_lack_environment: checks_lack_environment(tx, task).await?,
        now: tx.now(),
    };
    match (retry_task(retried)?, merges) {
        (TaskRetry::QueueResolvedMerge, RetryMerges { resolved, .. }) => {
            queue_resolved(tx, task, resolved).await
        }
        (TaskRetry::QueueMerge, RetryMerges { own, .. }) => {
            if let Some(mut merge) = own {
                queue_again(tx, &mut merge, task).await?;
            }
            free_dependents(tx, task).await
        }
        (TaskRetry::Requeue(actions), RetryMerges { own, .. }) => {
            let manual = task.integration_state == IntegrationState::Manual;
            if let Some(merge) = own.filter(|_| manual) {
                cancel_merge(tx, merge, task).await?;
            }
            apply_to_task(tx, task, actions).await
        }
    }
}

/// Whether the task waits for something that its checks, as its last attempt, found the machine to lack.
async fn checks_lack_environment(tx: &mut Tx, task: &Task) -> Result<bool, StoreError> {
    if !task.waits_for_outside() {
        return Ok(false);
    }
    let all = attempts::of_task(tx, task.id).await?;
    let last = all.last().map(|last| last.subject.kind());
    Ok(last == Some(SubjectKind::TaskChecks))
}

/// Cancels a merge that waits for a person, with the task that was to resolve it.
async fn cancel_merge(tx: &mut Tx, mut merge: Merge, task: &mut Task) -> Result<(), StoreError> {
    let step = MergeMove::to(MergeState::Cancelled).because("its task is tried again");
    merges::transition(tx, &mut merge, task, step).await?;
    let Some(id) = merge.resolve_task_id else {
        return Ok(());
    };
    let mut resolution = tasks::get(tx, id).await?;
    let reason = format!("TSK-{:03} is tried again", task.number);
    let actions = end_resolution(resolution.status, &reason);
    apply_to_task(tx, &mut resolution, actions).await?;
    free_dependents(tx, &resolution).await
}

/// Queues the merge whose conflict `task` was to resolve, and ends that task.
async fn queue_resolved(
    tx: &mut Tx,
    task: &mut Task,
    merge: Option<Merge>,
) -> Result<(), StoreError> {
    let actions = end_resolution(task.status, MERGE_AGAIN);
    apply_to_task(tx, task, actions).await?;
    if let Some(mut merge) = merge {
        let mut source = tasks::get(tx, merge.task_id).await?;
        queue_again(tx, &mut merge, &mut source).await?;
        free_dependents(tx, task).await?;
        free_dependents(tx, &source).await?;
    }
    Ok(())
}

/// Queues the merge of `source` with all its tries.
async fn queue_again(tx: &mut Tx, merge: &mut Merge, source: &mut Task) -> Result<(), StoreError> {
    merge.restarts = 0;
    merge.error = None;
    let step = MergeMove::to(MergeState::Pending).because(MERGE_AGAIN);
    merges::transition(tx, merge, source, step).await
}
