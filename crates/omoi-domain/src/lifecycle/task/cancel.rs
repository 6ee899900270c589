//! A task that is called off.

use super::TaskAction;
use crate::task::TaskStatus;

/// Cancels a task for `reason`, and blocks what waits for it. Whatever runs for it is stopped by the
/// reaper.
pub fn cancel_task(reason: &str) -> Vec<TaskAction> {
    vec![
        TaskAction::moved(TaskStatus::Cancelled, reason),
        TaskAction::BlockDependents,
    ]
}

/// Ends a task that resolves a conflict which nobody needs resolved any more. What waits for it is
/// freed by whoever ends it: it lands without it.
pub fn end_resolution(status: TaskStatus, reason: &str) -> Vec<TaskAction> {
    let mut actions = vec![TaskAction::DropNeed];
    if !matches!(status, TaskStatus::Cancelled | TaskStatus::Completed) {
        actions.push(TaskAction::moved(TaskStatus::Cancelled, reason));
    }
    actions
}

/// Takes a task that nobody has begun out of the work: a newer plan does not have it.
pub fn retire_task() -> Vec<TaskAction> {
    let reason = "retired: no longer part of the plan";
    vec![TaskAction::moved(TaskStatus::Cancelled, reason)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn a_task_that_left_the_plan_is_cancelled_and_stops_no_other() {
        let reason = "retired: no longer part of the plan";
        let expected = [TaskAction::moved(TaskStatus::Cancelled, reason)];
        assert_eq!(retire_task(), expected);
        for status in [TaskStatus::Pending, TaskStatus::Blocked] {
            assert!(
                transition(status, TaskStatus::Cancelled).is_ok(),
                "{status}"
            );
        }
    }

    #[test]
    fn a_cancelled_task_stops_what_waits_for_it() {
        let moved = TaskAction::moved(TaskStatus::Cancelled, "by a person");
        let expected = [moved, TaskAction::BlockDependents];
        assert_eq!(cancel_task("by a person"), expected);
    }

    #[test]
    fn a_resolution_that_is_over_stays_as_it_ended() {
        let moved = TaskAction::moved(TaskStatus::Cancelled, "its merge is tried again");
        let ends = || vec![TaskAction::DropNeed, moved.clone()];
        let stays = || vec![TaskAction::DropNeed];
        for (status, expected) in [
            (TaskStatus::Failed, ends()),
            (TaskStatus::Pending, ends()),
            (TaskStatus::Running, ends()),
            (TaskStatus::Cancelled, stays()),
            (TaskStatus::Completed, stays()),
        ] {
            let actions = end_resolution(status, "its merge is tried again");
            assert_eq!(actions, expected, "{status}");
        }
    }
}
