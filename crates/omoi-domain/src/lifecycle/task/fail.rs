//! A task whose attempt failed.

use super::TaskAction;
use crate::retry::{self, ErrorClass};
use crate::task::{TaskStatus, TaskType};
use crate::time::Timestamp;

/// What is known when an attempt at a task failed.
#[derive(Clone, Copy, Debug)]
pub struct TaskFailure<'a> {
    /// The kind of work.
    pub task_type: TaskType,
    /// Retries it had.
    pub retry_count: u32,
    /// Most retries.
    pub max_retries: u32,
    /// What kind of error it is.
    pub class: ErrorClass,
    /// What happened.
    pub message: &'a str,
    /// Class and message of every failed attempt at it, the newest included.
    pub failures: &'a [(ErrorClass, String)],
    /// When it failed.
    pub now: Timestamp,
    /// Stretches the wait, 0.75 to 1.25.
    pub jitter: f64,
}

/// Decides what a failed attempt means for its task: another try after a pause, or the end, where its
/// class, its retries or the same failure three times allow no other.
pub fn fail_task(failure: TaskFailure<'_>) -> Vec<TaskAction> {
    let TaskFailure { class, message, .. } = failure;
    let reason = format!("{class}: {message}");
    let mut actions = vec![TaskAction::KeepError {
        class: Some(class),
        message: reason.clone(),
    }];
    if !class.is_retryable() || repeats(&failure) || failure.retry_count >= failure.max_retries {
        actions.push(TaskAction::FailPermanently { reason });
        actions.push(TaskAction::BlockDependents);
        return actions;
    }
    let retries = failure.retry_count + 1;
    let begins_at = failure.now + retry::task_delay(retries, failure.jitter);
    actions.extend([
        TaskAction::moved(TaskStatus::Failed, reason.clone()),
        TaskAction::CountRetry,
        TaskAction::WaitUntil(begins_at),
        TaskAction::moved(TaskStatus::Pending, reason),
    ]);
    actions
}

/// Whether this failure stands among the others often enough to stop retries.
fn repeats(failure: &TaskFailure<'_>) -> bool {
    let sign = |class, message: &str| retry::failure_signature(failure.task_type, class, message);
    let own = sign(failure.class, failure.message);
    let all = failure.failures.iter();
    let all: Vec<String> = all.map(|(class, message)| sign(*class, message)).collect();
    retry::is_repeating(&own, all.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn class_count_and_repetition_decide() {
        let broke = |n: usize| vec![(ErrorClass::AgentError, "it broke".to_owned()); n];
        for (class, retry_count, failures, again_after_s) in [
            (ErrorClass::AgentError, 0, broke(1), Some(1)),
            (ErrorClass::AgentError, 1, broke(2), Some(2)),
            // The same three times.
            (ErrorClass::AgentError, 2, broke(3), None),
            (ErrorClass::SandboxLost, 2, broke(2), Some(4)),
            (ErrorClass::SandboxLost, 3, Vec::new(), None),
            (ErrorClass::QuotaExceeded, 0, Vec::new(), None),
            (ErrorClass::PolicyViolation, 0, Vec::new(), None),
        ] {
            let now = Timestamp::from_micros(5_000_000);
            let actions = fail_task(TaskFailure {
                task_type: TaskType::ImplementFeature,
                retry_count,
                max_retries: 3,
                class,
                message: "it broke",
                failures: &failures,
                now,
                jitter: 1.0,
            });
            let reason = format!("{class}: it broke");
            let kept = TaskAction::KeepError {
                class: Some(class),
                message: reason.clone(),
            };
            let expected = match again_after_s {
                Some(seconds) => vec![
                    kept,
                    TaskAction::moved(TaskStatus::Failed, reason.clone()),
                    TaskAction::CountRetry,
                    TaskAction::WaitUntil(now + Duration::from_secs(seconds)),
                    TaskAction::moved(TaskStatus::Pending, reason),
                ],
                None => vec![
                    kept,
                    TaskAction::FailPermanently { reason },
                    TaskAction::BlockDependents,
                ],
            };
            assert_eq!(actions, expected, "{class} {retry_count}");
        }
    }
}
