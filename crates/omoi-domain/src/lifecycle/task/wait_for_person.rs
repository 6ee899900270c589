//! A task that nobody but a person can have go on.

use super::TaskAction;
use crate::block::TaskBlock;
use crate::task::TaskStatus;

/// Blocks a task in `status`, and all that waits for it, until a person has it go on.
pub fn wait_for_person(status: TaskStatus, block: TaskBlock, reason: String) -> Vec<TaskAction> {
    let mut actions = Vec::new();
    if !matches!(status, TaskStatus::Running | TaskStatus::Pending) {
        // Its machine blocks only what runs or stands in the queue.
        actions.push(TaskAction::moved(TaskStatus::Pending, reason.clone()));
    }
    actions.push(TaskAction::Block { block, reason });
    actions.push(TaskAction::BlockWaiting);
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn every_step_is_a_move_of_the_machine() {
        for (status, n_moves) in [
            (TaskStatus::Pending, 0),
            (TaskStatus::Running, 0),
            (TaskStatus::Claiming, 1),
            (TaskStatus::Assigned, 1),
        ] {
            let reason = "no key".to_owned();
            let actions = wait_for_person(status, TaskBlock::Provider, reason);
            let mut at = status;
            let mut moves = 0;
            for action in &actions {
                let to = match action {
                    TaskAction::Move { to, .. } => *to,
                    TaskAction::Block { .. } => TaskStatus::Blocked,
                    _ => continue,
                };
                assert!(transition(at, to).is_ok(), "{at} -> {to}");
                moves += u32::from(to != TaskStatus::Blocked);
                at = to;
            }
            assert_eq!((at, moves), (TaskStatus::Blocked, n_moves), "{status}");
            assert_eq!(actions.last(), Some(&TaskAction::BlockWaiting));
        }
    }
}
