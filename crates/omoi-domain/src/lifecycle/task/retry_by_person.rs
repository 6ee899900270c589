//! A task that a person has tried again.

use super::TaskAction;
use crate::machine::{InvalidTransition, transition};
use crate::merge::{IntegrationState, MergeState};
use crate::task::TaskStatus;
use crate::time::Timestamp;

/// What is known of a task that is to be tried again.
#[derive(Clone, Copy, Debug)]
pub struct RetriedTask {
    /// Where it stands.
    pub status: TaskStatus,
    /// Where its commits stand.
    pub integration_state: IntegrationState,
    /// Where the merge stands whose conflict it resolves, if it resolves one.
    pub resolved_merge: Option<MergeState>,
    /// Whether its own merge waits for something that the machine lacks.
    pub merge_lacks_environment: bool,
    /// Whether it waits for something that its checks found the machine to lack: its work is done, and an
    /// agent that is asked again would have nothing to change.
    pub checks_lack_environment: bool,
    /// When it is asked for.
    pub now: Timestamp,
}

/// How a task is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskRetry {
    /// It was to resolve a conflict and did not. That merge is queued again; should it conflict again, a new
    /// task resolves it from the head of then, so this one is over.
    QueueResolvedMerge,
    /// Its work is done, and its checks said nothing against it. Its own merge is queued again.
    QueueMerge,
    /// It goes back itself. An open merge that waits for a person is cancelled first.
    Requeue(Vec<TaskAction>),
}

/// Decides how a task that failed, was cancelled, or whose merge waits for a person is tried again.
///
/// # Errors
/// [`InvalidTransition`] when it landed or is on its way to land, and for a cancelled resolution whose
/// merge nobody waits for.
pub fn retry_task(task: RetriedTask) -> Result<TaskRetry, InvalidTransition> {
    let is_over = matches!(task.status, TaskStatus::Failed | TaskStatus::Cancelled);
    let waits_for_resolution = matches!(
        task.resolved_merge,
        Some(MergeState::Manual | MergeState::Resolving)
    );
    if is_over && waits_for_resolution {
        return Ok(TaskRetry::QueueResolvedMerge);
    }
    if task.merge_lacks_environment {
        return Ok(TaskRetry::QueueMerge);
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
    let to = match task.checks_lack_environment {
        true => TaskStatus::PendingValidation,
        false => TaskStatus::Pending,
    };
    Ok(TaskRetry::Requeue(vec![
        TaskAction::SetRound(0),
        TaskAction::ResetRetries,
        TaskAction::WaitUntil(task.now),
        TaskAction::moved(to, "retried by a person"),
        TaskAction::FreeDependents,
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_task_and_merge_stand_decides() {
        use MergeState::{Completed as Landed, Manual, Resolving};
        use TaskStatus::{Blocked, Cancelled, Completed, Failed, Pending, PendingValidation};
        let none = IntegrationState::None;
        let merged = IntegrationState::Merged;
        let manual = IntegrationState::Manual;
        let conflict = IntegrationState::Conflict;
        for (status, integration_state, resolved_merge, lacks, expected) in [
            (Failed, none, None, (false, false), Ok(Some(Pending))),
            (Cancelled, none, None, (false, false), Ok(Some(Pending))),
            (Blocked, none, None, (false, false), Ok(Some(Pending))),
            (
                Blocked,
                none,
                None,
                (false, true),
                Ok(Some(PendingValidation)),
            ),
            (Completed, manual, None, (false, false), Ok(Some(Pending))),
            (Completed, manual, None, (true, false), Ok(None)),
            (Failed, none, Some(Manual), (false, false), Ok(None)),
            (Cancelled, none, Some(Resolving), (false, false), Ok(None)),
            (Cancelled, none, Some(Landed), (false, false), Err(())),
            (Completed, merged, None, (false, false), Err(())),
            (Completed, conflict, None, (false, false), Err(())),
        ] {
            let (merge_lacks_environment, checks_lack_environment) = lacks;
            let task = RetriedTask {
                status,
                integration_state,
                resolved_merge,
                merge_lacks_environment,
                checks_lack_environment,
                now: Timestamp::from_micros(7),
            };
            let moved_to = retry_task(task).map_err(|_| ()).map(|retry| match retry {
                TaskRetry::QueueMerge => {
                    assert!(merge_lacks_environment);
                    None
                }
                TaskRetry::QueueResolvedMerge => {
                    assert!(resolved_merge.is_some());
                    None
                }
                TaskRetry::Requeue(actions) => {
                    actions.into_iter().find_map(|action| match action {
                        TaskAction::Move { to, .. } => Some(to),
                        _ => None,
                    })
                }
            });
            assert_eq!(moved_to, expected, "{task:?}");
        }
    }

    #[test]
    fn whoever_is_tried_again_has_all_its_tries() {
        let task = RetriedTask {
            status: TaskStatus::Failed,
            integration_state: IntegrationState::None,
            resolved_merge: None,
            merge_lacks_environment: false,
            checks_lack_environment: false,
            now: Timestamp::from_micros(7),
        };
        let Ok(TaskRetry::Requeue(actions)) = retry_task(task) else {
            unreachable!("it goes back into the queue")
        };
        for action in [
            TaskAction::SetRound(0),
            TaskAction::ResetRetries,
            TaskAction::WaitUntil(task.now),
            TaskAction::FreeDependents,
        ] {
            assert!(actions.contains(&action), "{action:?}");
        }
    }
}
