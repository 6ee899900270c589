//! A task that a person has tried again.

use super::{TaskAction, cancel_task, end_resolution};
use crate::id::HumanRef;
use crate::lifecycle::merge::{MergeAction, cancel_merge, requeue_merge};
use crate::machine::{InvalidTransition, transition};
use crate::merge::{IntegrationState, MergeState};
use crate::task::TaskStatus;
use crate::time::Timestamp;

/// Why a resolution ends, and why the merge it was for is queued again.
const MERGE_AGAIN: &str = "its merge is tried again";

/// The merge of a task's own work that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTaskMerge {
    /// Whether it waits for something that the machine lacks.
    pub lacks_environment: bool,
    /// Where the task stands that was to resolve its conflict, if there is one.
    pub resolution: Option<TaskStatus>,
}

/// What is known of a task that is to be tried again.
#[derive(Clone, Copy, Debug)]
pub struct RetriedTask {
    /// `n` of its `TSK-n`.
    pub number: i64,
    /// Where it stands.
    pub status: TaskStatus,
    /// Where its commits stand.
    pub integration_state: IntegrationState,
    /// Where the merge stands whose conflict it resolves, if it resolves one.
    pub resolved_merge: Option<MergeState>,
    /// Its own open merge, if it has one.
    pub own_merge: Option<OpenTaskMerge>,
    /// Whether it waits for something that its checks found the machine to lack: its work is done, and an
    /// agent that is asked again would have nothing to change.
    pub checks_lack_environment: bool,
    /// When it is asked for.
    pub now: Timestamp,
}

/// One part of trying a task again. Parts are applied in order, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryStep {
    /// Changes the task itself.
    Task(Vec<TaskAction>),
    /// Changes its own open merge.
    OwnMerge(Vec<MergeAction>),
    /// Changes the merge whose conflict it resolves.
    ResolvedMerge(Vec<MergeAction>),
    /// Changes the task that was to resolve the conflict of its own merge.
    Resolution(Vec<TaskAction>),
}

/// Decides how a task that failed, was cancelled, or whose merge waits for a person is tried again.
///
/// One that was to resolve a conflict and did not is over: that merge is queued again, and should it
/// conflict again, a new task resolves it from the head of then. One whose work is done, and against
/// which its checks said nothing, has its merge queued again. Any other goes back itself with all its
/// rounds, and a merge of it that waits for a person is cancelled.
///
/// # Errors
/// [`InvalidTransition`] when it landed or is on its way to land, and for a cancelled resolution whose
/// merge nobody waits for.
pub fn retry_steps(task: RetriedTask) -> Result<Vec<RetryStep>, InvalidTransition> {
    let is_over = matches!(task.status, TaskStatus::Failed | TaskStatus::Cancelled);
    let waits_for_resolution = matches!(
        task.resolved_merge,
        Some(MergeState::Manual | MergeState::Resolving)
    );
    if is_over && waits_for_resolution {
        return Ok(vec![
            RetryStep::Task(end_resolution(task.status, MERGE_AGAIN)),
            RetryStep::ResolvedMerge(requeue_merge(MERGE_AGAIN)),
            RetryStep::Task(vec![TaskAction::FreeDependents]),
        ]);
    }
    if task.own_merge.is_some_and(|merge| merge.lacks_environment) {
        return Ok(vec![RetryStep::OwnMerge(requeue_merge(MERGE_AGAIN))]);
    }
    let waits_for_person = task.integration_state == IntegrationState::Manual;
    if task.status == TaskStatus::Completed && !waits_for_person {
        // Completed work may go back to the queue, but only its merge may send it there.
        transition(task.status, TaskStatus::Failed)?;
    }
    if task.status == TaskStatus::Cancelled && task.resolved_merge.is_some() {
        // What it resolved is tried again, or landed: nothing needs this resolution.
        transition(task.status, task.status)?;
    }
    let own_merge = task.own_merge.filter(|_| waits_for_person);
    let why = DropReason {
        merge: "its task is tried again",
        resolution: format!("{} is tried again", HumanRef::task(task.number)),
    };
    let mut steps = own_merge.map_or_else(Vec::new, |merge| drop_merge(merge, &why));
    steps.push(RetryStep::Task(requeued(task)));
    Ok(steps)
}

/// Decides how a task is given up whose work is done and conflicts with what landed: its merge, and whatever was to resolve the
/// conflict, end with it. What waits for it goes on waiting, for a task that a person may have tried again.
pub fn give_up_conflict(number: i64, merge: OpenTaskMerge, reason: &str) -> Vec<RetryStep> {
    let words = DropReason {
        merge: "its task is given up",
        resolution: format!("{} is given up", HumanRef::task(number)),
    };
    let mut steps = drop_merge(merge, &words);
    let reason = format!("given up by a person: {reason}");
    let mut actions = vec![TaskAction::moved(TaskStatus::Pending, reason.clone())];
    actions.extend(cancel_task(&reason));
    steps.push(RetryStep::Task(actions));
    steps
}

/// Why a merge is dropped, and the task that was to resolve it.
struct DropReason {
    merge: &'static str,
    resolution: String,
}

/// Cancels the merge of a task, and ends the task that was to resolve it.
fn drop_merge(merge: OpenTaskMerge, why: &DropReason) -> Vec<RetryStep> {
    let mut steps = vec![RetryStep::OwnMerge(cancel_merge(why.merge))];
    if let Some(status) = merge.resolution {
        let mut actions = end_resolution(status, &why.resolution);
        actions.push(TaskAction::FreeDependents);
        steps.push(RetryStep::Resolution(actions));
    }
    steps
}

fn requeued(task: RetriedTask) -> Vec<TaskAction> {
    let to = match task.checks_lack_environment {
        true => TaskStatus::PendingValidation,
        false => TaskStatus::Pending,
    };
    vec![
        TaskAction::SetRound(0),
        TaskAction::ResetRetries,
        TaskAction::WaitUntil(task.now),
        TaskAction::moved(to, "retried by a person"),
        TaskAction::FreeDependents,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::merge::walk_moves;

    fn task(status: TaskStatus) -> RetriedTask {
        RetriedTask {
            number: 4,
            status,
            integration_state: IntegrationState::None,
            resolved_merge: None,
            own_merge: None,
            checks_lack_environment: false,
            now: Timestamp::from_micros(7),
        }
    }

    /// It goes back itself, with all its tries.
    fn back(to: TaskStatus) -> RetryStep {
        RetryStep::Task(vec![
            TaskAction::SetRound(0),
            TaskAction::ResetRetries,
            TaskAction::WaitUntil(Timestamp::from_micros(7)),
            TaskAction::moved(to, "retried by a person"),
            TaskAction::FreeDependents,
        ])
    }

    /// A resolution that is over, and what it was for queued again.
    fn queued_instead(status: TaskStatus) -> Vec<RetryStep> {
        vec![
            RetryStep::Task(end_resolution(status, "its merge is tried again")),
            RetryStep::ResolvedMerge(requeue_merge("its merge is tried again")),
            RetryStep::Task(vec![TaskAction::FreeDependents]),
        ]
    }

    #[test]
    fn where_task_and_merge_stand_decides() {
        use MergeState::{Completed as Landed, Manual, Resolving};
        use TaskStatus::{
            Blocked, Cancelled, Completed, Failed, Pending, PendingValidation, Running,
        };
        let of = |status, integration_state| RetriedTask {
            integration_state,
            ..task(status)
        };
        let resolves = |status, merge| RetriedTask {
            resolved_merge: Some(merge),
            ..task(status)
        };
        let own = |lacks_environment, resolution| OpenTaskMerge {
            lacks_environment,
            resolution,
        };
        let merges = |merge| RetriedTask {
            own_merge: Some(merge),
            ..of(Completed, IntegrationState::Manual)
        };
        let cancelled = || RetryStep::OwnMerge(cancel_merge("its task is tried again"));
        let mut ended = end_resolution(Running, "TSK-004 is tried again");
        ended.push(TaskAction::FreeDependents);
        let unchecked = RetriedTask {
            checks_lack_environment: true,
            ..task(Blocked)
        };
        for (task, expected) in [
            (task(Failed), Ok(vec![back(Pending)])),
            (task(Cancelled), Ok(vec![back(Pending)])),
            (task(Blocked), Ok(vec![back(Pending)])),
            (unchecked, Ok(vec![back(PendingValidation)])),
            (
                of(Completed, IntegrationState::Manual),
                Ok(vec![back(Pending)]),
            ),
            (
                merges(own(false, None)),
                Ok(vec![cancelled(), back(Pending)]),
            ),
            (
                merges(own(false, Some(Running))),
                Ok(vec![
                    cancelled(),
                    RetryStep::Resolution(ended),
                    back(Pending),
                ]),
            ),
            (
                merges(own(true, None)),
                Ok(vec![RetryStep::OwnMerge(requeue_merge(
                    "its merge is tried again",
                ))]),
            ),
            (resolves(Failed, Manual), Ok(queued_instead(Failed))),
            (
                resolves(Cancelled, Resolving),
                Ok(queued_instead(Cancelled)),
            ),
            // One that waits may go on resolving.
            (resolves(Blocked, Resolving), Ok(vec![back(Pending)])),
            (resolves(Cancelled, Landed), Err(())),
            (of(Completed, IntegrationState::Merged), Err(())),
            (of(Completed, IntegrationState::Conflict), Err(())),
        ] {
            assert_eq!(retry_steps(task).map_err(|_| ()), expected, "{task:?}");
        }
    }

    #[test]
    fn a_conflicting_task_is_given_up_with_its_merge_and_its_resolution() {
        let merge = OpenTaskMerge {
            lacks_environment: false,
            resolution: Some(TaskStatus::Failed),
        };
        let steps = give_up_conflict(4, merge, "not worth it");
        let mut ended = end_resolution(TaskStatus::Failed, "TSK-004 is given up");
        ended.push(TaskAction::FreeDependents);
        let reason = "given up by a person: not worth it";
        let expected = [
            RetryStep::OwnMerge(cancel_merge("its task is given up")),
            RetryStep::Resolution(ended),
            RetryStep::Task(vec![
                TaskAction::moved(TaskStatus::Pending, reason),
                TaskAction::moved(TaskStatus::Cancelled, reason),
                TaskAction::BlockDependents,
            ]),
        ];
        assert_eq!(steps, expected);
        assert!(transition(TaskStatus::Completed, TaskStatus::Pending).is_ok());
        assert!(transition(TaskStatus::Pending, TaskStatus::Cancelled).is_ok());
    }

    #[test]
    fn every_part_is_a_move_of_its_machine() {
        for (status, to) in [
            (TaskStatus::Failed, TaskStatus::Pending),
            (TaskStatus::Cancelled, TaskStatus::Pending),
            (TaskStatus::Blocked, TaskStatus::Pending),
            (TaskStatus::Blocked, TaskStatus::PendingValidation),
            (TaskStatus::Completed, TaskStatus::Pending),
        ] {
            assert!(transition(status, to).is_ok(), "{status} -> {to}");
        }
        for (from, actions, to) in [
            (
                MergeState::Manual,
                requeue_merge("again"),
                MergeState::Pending,
            ),
            (
                MergeState::Resolving,
                requeue_merge("again"),
                MergeState::Pending,
            ),
            (
                MergeState::Manual,
                cancel_merge("again"),
                MergeState::Cancelled,
            ),
        ] {
            assert_eq!(walk_moves(from, &actions), to);
        }
    }
}
