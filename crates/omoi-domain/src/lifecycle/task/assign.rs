//! A claimed task whose sandbox is bound.

use super::TaskAction;
use crate::task::TaskStatus;

/// Assigns a claimed task to the attempt that claimed it; one that stands elsewhere stays there.
pub fn assign_task(status: TaskStatus) -> Vec<TaskAction> {
    if status != TaskStatus::Claiming {
        return Vec::new();
    }
    vec![TaskAction::move_to(TaskStatus::Assigned)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_claimed_task_is_assigned() {
        for status in TaskStatus::ALL.iter().copied() {
            let expected = match status {
                TaskStatus::Claiming => vec![TaskAction::move_to(TaskStatus::Assigned)],
                _ => vec![],
            };
            assert_eq!(assign_task(status), expected, "{status}");
        }
    }
}
