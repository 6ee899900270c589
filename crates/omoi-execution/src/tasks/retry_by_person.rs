//! A task that a person has tried again: what is read for it, and how the answer is applied.

use omoi_domain::attempt::SubjectKind;
use omoi_domain::lifecycle::task::{
    OpenTaskMerge, RetriedTask, RetryStep, give_up_conflict, retry_steps,
};
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx, attempts};

use super::apply_to_task;
use crate::merges::apply_to_merge;

/// What the retry of a task may concern besides the task.
struct RetryRows {
    /// The merge whose conflict the task resolves.
    resolved: Option<Merge>,
    /// The open merge of its own work.
    own: Option<Merge>,
    /// The task that was to resolve the conflict of that one.
    resolution: Option<Task>,
}

/// Puts a task that failed or was cancelled, or one whose merge waits for a person, back into the
/// queue with all its rounds, and frees what waited for it.
///
/// # Errors
/// [`StoreError::Transition`] when neither is so.
pub async fn retry_by_person(tx: &mut Tx, task: &mut Task) -> Result<(), StoreError> {
    let rows = RetryRows::read_rows(tx, task).await?;
    let retried = RetriedTask {
        number: task.number,
        status: task.status,
        integration_state: task.integration_state,
        resolved_merge: rows.resolved.as_ref().map(|merge| merge.state),
        own_merge: rows.own_merge(),
        checks_lack_environment: checks_lack_environment(tx, task).await?,
        now: tx.now(),
    };
    rows.apply_steps(tx, task, retry_steps(retried)?).await
}

/// Gives a task up whose work is done and conflicts with what landed, for what a person says.
///
/// # Errors
/// [`StoreError::Transition`] where its merge does not wait for a person.
pub(crate) async fn give_up(tx: &mut Tx, task: &mut Task, reason: &str) -> Result<(), StoreError> {
    let rows = RetryRows::read_rows(tx, task).await?;
    let steps = rows
        .own_merge()
        .map(|merge| give_up_conflict(task.number, merge, reason));
    rows.apply_steps(tx, task, steps.unwrap_or_default()).await
}

impl RetryRows {
    async fn read_rows(tx: &mut Tx, task: &Task) -> Result<Self, StoreError> {
        let resolved = match task.resolves_merge_id {
            Some(id) => Some(merges::get(tx, id).await?),
            None => None,
        };
        let own = merges::open_of_task(tx, task.id).await?;
        let resolution = match own.as_ref().and_then(|merge| merge.resolve_task_id) {
            Some(id) => Some(tasks::get(tx, id).await?),
            None => None,
        };
        Ok(Self {
            resolved,
            own,
            resolution,
        })
    }

    fn own_merge(&self) -> Option<OpenTaskMerge> {
        self.own.as_ref().map(|merge| OpenTaskMerge {
            lacks_environment: merge.is_blocked_by_environment(),
            resolution: self.resolution.as_ref().map(|task| task.status),
        })
    }

    /// Applies what was decided, in order.
    async fn apply_steps(
        mut self,
        tx: &mut Tx,
        task: &mut Task,
        steps: Vec<RetryStep>,
    ) -> Result<(), StoreError> {
        for step in steps {
            match (step, &mut self) {
                (RetryStep::Task(actions), _) => apply_to_task(tx, task, actions).await?,
                (
                    RetryStep::OwnMerge(actions),
                    Self {
                        own: Some(merge), ..
                    },
                ) => {
                    apply_to_merge(tx, merge, actions).await?;
                    // It moved with its merge.
                    *task = tasks::get(tx, task.id).await?;
                }
                (
                    RetryStep::ResolvedMerge(actions),
                    Self {
                        resolved: Some(merge),
                        ..
                    },
                ) => apply_to_merge(tx, merge, actions).await?,
                (
                    RetryStep::Resolution(actions),
                    Self {
                        resolution: Some(resolution),
                        ..
                    },
                ) => apply_to_task(tx, resolution, actions).await?,
                // Decided only of what there is.
                (
                    RetryStep::OwnMerge(_) | RetryStep::ResolvedMerge(_) | RetryStep::Resolution(_),
                    _,
                ) => {}
            }
        }
        Ok(())
    }
}

/// Whether the task waits for something that its checks, as its last attempt, found the machine to lack.
async fn checks_lack_environment(tx: &mut Tx, task: &Task) -> Result<bool, StoreError> {
    if !task.waits_for_outside() {
        return Ok(false);
    }
    let last = attempts::newest_of_task(tx, task.id).await?;
    let last = last.map(|last| last.subject.kind());
    Ok(last == Some(SubjectKind::TaskChecks))
}
