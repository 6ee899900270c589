//! A task whose checks are to be run.

use super::TaskAction;
use crate::lifecycle::tries::{EarlierRun, TryLimit, is_under_way, spent_tries};
use crate::task::TaskStatus;
use crate::time::Timestamp;

/// Times the checks of one round may fail to run at all.
pub const CHECK_TRIES_MAX: usize = 3;

/// What is known of a task whose checks may begin.
#[derive(Clone, Copy, Debug)]
pub struct PendingChecks<'a> {
    /// Where it stands.
    pub status: TaskStatus,
    /// Whether a slot is free for it.
    pub has_slot: bool,
    /// Times it was sent back.
    pub round: u32,
    /// When it was last put into the queue: it has all its tries since then.
    pub since: Timestamp,
    /// Earlier runs of its checks.
    pub runs: &'a [EarlierRun],
}

/// What becomes of checks that may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChecksStart {
    /// It is not their time.
    Wait,
    /// They begin.
    Begin(Vec<TaskAction>),
    /// They could not be run often enough.
    GiveUp(Vec<TaskAction>),
}

/// Decides whether the checks of a task begin.
pub fn start_checks(checks: PendingChecks<'_>) -> ChecksStart {
    if checks.status != TaskStatus::PendingValidation || !checks.has_slot {
        return ChecksStart::Wait;
    }
    let limit = TryLimit {
        max: CHECK_TRIES_MAX,
        round: Some(checks.round),
        since: Some(checks.since),
    };
    let mut actions = vec![TaskAction::moved(
        TaskStatus::Validating,
        "its checks begin",
    )];
    let Some(why) = spent_tries(checks.runs, limit) else {
        return ChecksStart::Begin(actions);
    };
    let reason = format!("checks could not be run: {why}");
    actions.extend([
        TaskAction::KeepError {
            class: None,
            message: reason.clone(),
        },
        TaskAction::FailPermanently { reason },
        TaskAction::BlockDependents,
    ]);
    ChecksStart::GiveUp(actions)
}

/// Has a task under validation whose run of checks is gone wait for another.
pub fn take_up_checks(status: TaskStatus, runs: &[EarlierRun]) -> Vec<TaskAction> {
    if status != TaskStatus::Validating || is_under_way(runs) {
        return Vec::new();
    }
    vec![TaskAction::moved(
        TaskStatus::PendingValidation,
        "its checks were cut short",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::AttemptState;

    fn run(state: AttemptState, round: u32) -> EarlierRun {
        EarlierRun {
            state,
            round,
            begun_at: Timestamp::from_micros(5),
            error: Some("no sandbox".to_owned()),
        }
    }

    #[test]
    fn checks_begin_in_a_free_slot_until_their_tries_are_spent() {
        use AttemptState::{Failed, Lost};
        let failed = || vec![run(Failed, 1); 3];
        for (status, has_slot, since, runs, expected) in [
            (TaskStatus::PendingValidation, true, 0, vec![], "begin"),
            (TaskStatus::PendingValidation, false, 0, vec![], "wait"),
            (TaskStatus::Running, true, 0, vec![], "wait"),
            (TaskStatus::Validating, true, 0, failed(), "wait"),
            (TaskStatus::PendingValidation, true, 0, failed(), "give up"),
            // A person put it back into the queue.
            (TaskStatus::PendingValidation, true, 6, failed(), "begin"),
            (
                TaskStatus::PendingValidation,
                true,
                0,
                vec![run(Failed, 0); 3],
                "begin",
            ),
            (
                TaskStatus::PendingValidation,
                true,
                0,
                vec![run(Lost, 1); 3],
                "begin",
            ),
        ] {
            let start = start_checks(PendingChecks {
                status,
                has_slot,
                round: 1,
                since: Timestamp::from_micros(since),
                runs: &runs,
            });
            let begins = TaskAction::moved(TaskStatus::Validating, "its checks begin");
            let reason = "checks could not be run: no sandbox".to_owned();
            match &start {
                ChecksStart::Wait => assert_eq!(expected, "wait"),
                ChecksStart::Begin(actions) => {
                    assert_eq!((expected, &actions[..]), ("begin", &[begins][..]));
                }
                ChecksStart::GiveUp(actions) => {
                    assert_eq!((expected, &actions[0]), ("give up", &begins));
                    assert!(actions.contains(&TaskAction::FailPermanently { reason }));
                    assert_eq!(actions.last(), Some(&TaskAction::BlockDependents));
                }
            }
        }
    }

    #[test]
    fn a_run_that_is_gone_is_made_again() {
        use AttemptState::{Failed, Lost, Starting};
        for (status, runs, is_taken_up) in [
            (TaskStatus::Validating, vec![run(Starting, 0)], false),
            (TaskStatus::Validating, vec![run(Lost, 0)], true),
            (TaskStatus::Validating, vec![run(Failed, 0)], true),
            (TaskStatus::Validating, vec![], true),
            (TaskStatus::Completed, vec![run(Lost, 0)], false),
        ] {
            let actions = take_up_checks(status, &runs);
            assert_eq!(!actions.is_empty(), is_taken_up, "{status} {runs:?}");
        }
    }
}
