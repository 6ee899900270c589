//! A task whose attempt was refused a model call, because a budget is spent.

use super::{TaskAction, wait_for_person};
use crate::block::TaskBlock;
use crate::retry::ErrorClass;
use crate::task::TaskStatus;

/// Has the task wait for a person, who raises the budget that `refusal` names. That is none of its rounds and
/// none of its retries.
pub fn block_over_budget(status: TaskStatus, refusal: &str) -> Vec<TaskAction> {
    let reason = format!("{}: {refusal}", TaskBlock::Budget.kind());
    let mut actions = vec![TaskAction::KeepError {
        class: Some(ErrorClass::QuotaExceeded),
        message: reason.clone(),
    }];
    actions.extend(wait_for_person(status, TaskBlock::Budget, reason));
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_its_budget_and_nothing_is_counted() {
        let actions = block_over_budget(TaskStatus::Running, "the task has spent all of it");
        let reason = "budget_exceeded: the task has spent all of it".to_owned();
        let expected = [
            TaskAction::KeepError {
                class: Some(ErrorClass::QuotaExceeded),
                message: reason.clone(),
            },
            TaskAction::Block {
                block: TaskBlock::Budget,
                reason,
            },
            TaskAction::BlockWaiting,
        ];
        assert_eq!(actions, expected);
    }
}
