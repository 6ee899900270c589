//! A task whose agent submitted work that may go to its checks.

use super::TaskAction;
use crate::task::TaskStatus;

/// Has the submitted work of a task checked.
pub fn submit_task() -> Vec<TaskAction> {
    vec![TaskAction::move_to(TaskStatus::PendingValidation)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn submitted_work_waits_for_its_checks() {
        let expected = [TaskAction::move_to(TaskStatus::PendingValidation)];
        assert_eq!(submit_task(), expected);
        assert!(transition(TaskStatus::Running, TaskStatus::PendingValidation).is_ok());
    }
}
