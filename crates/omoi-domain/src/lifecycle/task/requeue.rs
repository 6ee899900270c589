//! A task whose attempt ended without anything being counted against it.

use super::TaskAction;
use crate::task::TaskStatus;

/// Puts a task back into the queue.
pub fn requeue_task(reason: String) -> Vec<TaskAction> {
    vec![TaskAction::moved(TaskStatus::Pending, reason)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn whatever_an_attempt_has_may_go_back_uncounted() {
        let expected = [TaskAction::moved(TaskStatus::Pending, "sandbox_lost")];
        assert_eq!(requeue_task("sandbox_lost".to_owned()), expected);
        for status in TaskStatus::ALL
            .iter()
            .filter(|status| status.is_worked_on())
        {
            assert!(transition(*status, TaskStatus::Pending).is_ok(), "{status}");
        }
    }
}
