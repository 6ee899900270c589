//! A task whose attempt the model provider failed.

use super::{TaskAction, wait_for_person};
use crate::block::TaskBlock;
use crate::outage::OutageStep;
use crate::retry::ErrorClass;
use crate::task::TaskStatus;

/// What is known when the model provider failed an attempt at a task.
#[derive(Clone, Debug)]
pub struct ProviderFailure {
    /// Where the task stands.
    pub status: TaskStatus,
    /// How the provider failed it.
    pub class: ErrorClass,
    /// The provider's words, for people.
    pub reason: String,
    /// Whether it is waited for, or a person asked.
    pub step: OutageStep,
    /// Whether the attempt was saved before it could fail.
    pub is_saved: bool,
}

/// Has a task wait for its next try, or for a person. That is none of its retries.
pub fn provider_failed(failure: ProviderFailure) -> Vec<TaskAction> {
    let ProviderFailure {
        status,
        class,
        reason,
        step,
        is_saved,
    } = failure;
    let keep_error = |message: &str| TaskAction::KeepError {
        class: Some(class),
        message: message.to_owned(),
    };
    if let (OutageStep::TryAgain { at, .. }, true) = (step, is_saved) {
        let reason = format!("{reason}; saved, goes on at {}", at.date_and_time());
        return vec![
            keep_error(&reason),
            TaskAction::WaitUntil(at),
            TaskAction::moved(TaskStatus::Pending, reason),
        ];
    }
    let mut actions = vec![keep_error(&reason)];
    match step {
        OutageStep::TryAgain { at, until } => {
            actions.push(TaskAction::WaitUntil(at));
            let (at, until) = (at.date_and_time(), until.date_and_time());
            let reason = format!("{reason}; tried again at {at}, until {until}");
            if status != TaskStatus::Pending {
                actions.push(TaskAction::moved(TaskStatus::Failed, reason.clone()));
                actions.push(TaskAction::moved(TaskStatus::Pending, reason));
            }
        }
        OutageStep::Stop => {
            actions.extend(wait_for_person(status, TaskBlock::Provider, reason));
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn an_outage_is_waited_for_and_then_a_person_is() {
        use TaskStatus::{Assigned, Failed, Pending, Running};
        let (at, until) = (
            Timestamp::from_micros(1_000_000),
            Timestamp::from_micros(9_000_000),
        );
        let told = "overloaded; tried again at 1970-01-01 00:00:01, until 1970-01-01 00:00:09";
        let saved = "overloaded; saved, goes on at 1970-01-01 00:00:01";
        for (status, is_waited_for, is_saved, moves) in [
            (Running, true, false, vec![(Failed, told), (Pending, told)]),
            (Running, true, true, vec![(Pending, saved)]),
            // It could not even be begun.
            (Pending, true, false, vec![]),
            (Running, false, false, vec![]),
            (Running, false, true, vec![]),
            (Assigned, false, false, vec![(Pending, "overloaded")]),
        ] {
            let actions = provider_failed(ProviderFailure {
                status,
                class: ErrorClass::Upstream5xx,
                reason: "overloaded".to_owned(),
                step: match is_waited_for {
                    true => OutageStep::TryAgain { at, until },
                    false => OutageStep::Stop,
                },
                is_saved,
            });
            let found = actions.iter().filter_map(|action| match action {
                TaskAction::Move { to, reason } => Some((*to, reason.as_deref()?)),
                _ => None,
            });
            assert_eq!(found.collect::<Vec<_>>(), moves, "{status}");
            let waits = actions.contains(&TaskAction::WaitUntil(at));
            assert_eq!(waits, is_waited_for, "{status}");
            let is_blocked = actions.contains(&TaskAction::BlockWaiting);
            assert_eq!(is_blocked, !is_waited_for, "{status}");
            assert!(
                !actions.contains(&TaskAction::CountRetry),
                "no retry of its own"
            );
        }
    }
}
