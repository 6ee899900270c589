//! A task whose attempt could not start since something outside did not answer.

use super::{TaskAction, wait_for_person};
use crate::block::TaskBlock;
use crate::postponed_start::PostponedStep;
use crate::retry::ErrorClass;
use crate::task::TaskStatus;

/// What is known when the start of an attempt at a task was put off.
#[derive(Clone, Copy, Debug)]
pub struct PostponedTask<'a> {
    /// Where the task stands.
    pub status: TaskStatus,
    /// The kind of error.
    pub class: ErrorClass,
    /// What did not answer.
    pub message: &'a str,
    /// Whether it is tried again, or a person asked.
    pub step: PostponedStep,
}

/// Has a task wait for its next start, or for a person. That is none of its retries.
pub fn postpone_task(task: PostponedTask<'_>) -> Vec<TaskAction> {
    let keep_error = |message: &str| TaskAction::KeepError {
        class: Some(task.class),
        message: message.to_owned(),
    };
    match task.step {
        PostponedStep::TryAgain { at, n_left } => {
            let time = at.date_and_time();
            let reason = format!(
                "not begun: {}; tried again at {time}, at most {n_left} times",
                task.message
            );
            vec![
                keep_error(&reason),
                TaskAction::WaitUntil(at),
                TaskAction::moved(TaskStatus::Pending, reason),
            ]
        }
        PostponedStep::Stop { n_starts } => {
            let reason = format!(
                "{}: it could not be begun {n_starts} times in a row: {}; try it again once that answers",
                TaskBlock::Environment.kind(),
                task.message
            );
            let mut actions = vec![keep_error(&reason)];
            actions.extend(wait_for_person(task.status, TaskBlock::Environment, reason));
            actions
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_start_waits_for_its_time_and_then_for_a_person() {
        let at = Timestamp::from_micros(60_000_000);
        let task = |step| PostponedTask {
            status: TaskStatus::Claiming,
            class: ErrorClass::Network,
            message: "`pypi.org`: the registry does not answer",
            step,
        };
        let actions = postpone_task(task(PostponedStep::TryAgain { at, n_left: 7 }));
        let reason = "not begun: `pypi.org`: the registry does not answer; tried again at 1970-01-01 00:01:00, at \
            most 7 times";
        let expected = [
            TaskAction::KeepError {
                class: Some(ErrorClass::Network),
                message: reason.to_owned(),
            },
            TaskAction::WaitUntil(at),
            TaskAction::moved(TaskStatus::Pending, reason),
        ];
        assert_eq!(actions, expected);
        let actions = postpone_task(task(PostponedStep::Stop { n_starts: 8 }));
        let reason = "environment_fault: it could not be begun 8 times in a row: `pypi.org`: the registry does not answer; \
            try it again once that answers";
        let waits = wait_for_person(
            TaskStatus::Claiming,
            TaskBlock::Environment,
            reason.to_owned(),
        );
        assert_eq!(actions[1..], waits);
        assert!(!actions.contains(&TaskAction::CountRetry));
    }
}
