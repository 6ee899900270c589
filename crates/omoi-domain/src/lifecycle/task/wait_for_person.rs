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

/// Has a task in `status` wait for the answer to what its agent asked. What waits for the task waits on: an answer is all it
/// lacks.
pub fn wait_for_answer(status: TaskStatus, question: &str) -> Vec<TaskAction> {
    let line = question.lines().next().unwrap_or_default();
    let reason = format!("{}: {line}", TaskBlock::Question.kind());
    let mut actions = wait_for_person(status, TaskBlock::Question, reason);
    actions.retain(|action| *action != TaskAction::BlockWaiting);
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn a_question_blocks_the_one_task_that_asks() {
        let question = "Which port?\nThe old one is taken.";
        let actions = wait_for_answer(TaskStatus::Running, question);
        let expected = TaskAction::Block {
            block: TaskBlock::Question,
            reason: "question: Which port?".to_owned(),
        };
        assert_eq!(actions, [expected]);
        assert!(transition(TaskStatus::Running, TaskStatus::Blocked).is_ok());
    }

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
