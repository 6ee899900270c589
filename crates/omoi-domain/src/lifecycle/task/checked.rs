//! A task whose checks ended.

use super::{TaskAction, UnmetResult, send_back_task};
use crate::block::TaskBlock;
use crate::task::TaskStatus;

/// What the checks of a task said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChecksResult {
    /// All passed.
    Passed,
    /// Some failed, and the work is why.
    Failed(UnmetResult),
    /// Every failed check failed because the machine lacks something.
    Untested {
        /// What it lacks.
        fault: String,
    },
    /// There was nothing to run.
    NoCheck {
        /// Whether a check of its own was left out, because it passes without the work.
        has_own: bool,
    },
}

/// A task whose checks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidatedTask {
    /// Where it stands.
    pub status: TaskStatus,
    /// Times it was sent back.
    pub round: u32,
}

/// Decides what the checks mean for a task under validation: its merge, another round, a wait for the
/// machine, which is no round, or the end. One that was moved meanwhile is left alone.
pub fn conclude_checks(task: ValidatedTask, result: ChecksResult) -> Vec<TaskAction> {
    if task.status != TaskStatus::Validating {
        return Vec::new();
    }
    match result {
        ChecksResult::Passed => vec![
            TaskAction::ClearFaults,
            TaskAction::moved(TaskStatus::Completed, "its checks passed"),
            TaskAction::QueueMerge,
        ],
        ChecksResult::Failed(unmet) => send_back_task(task.status, task.round, unmet),
        ChecksResult::Untested { fault } => {
            let block = TaskBlock::Environment;
            let reason = format!("{}: {fault}", block.kind());
            vec![
                TaskAction::Block { block, reason },
                TaskAction::BlockWaiting,
            ]
        }
        ChecksResult::NoCheck { has_own } => {
            let reason = match has_own {
                false => "needs_check: neither a check of its own nor a project suite",
                true => {
                    "check_proves_nothing: it passes without the work, and there is no project suite"
                }
            };
            vec![
                TaskAction::KeepError {
                    class: None,
                    message: reason.to_owned(),
                },
                TaskAction::FailPermanently {
                    reason: reason.to_owned(),
                },
                TaskAction::BlockDependents,
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;
    use crate::task::UnmetCode;

    fn validated(round: u32) -> ValidatedTask {
        ValidatedTask {
            status: TaskStatus::Validating,
            round,
        }
    }

    fn unmet() -> UnmetResult {
        UnmetResult {
            code: UnmetCode::ChecksFailed,
            feedback: "1 of 2 checks failed".to_owned(),
            recommendations: Vec::new(),
        }
    }

    /// The end of a task that nothing checks, for `reason`.
    fn unchecked(reason: &str) -> Vec<TaskAction> {
        vec![
            TaskAction::KeepError {
                class: None,
                message: reason.to_owned(),
            },
            TaskAction::FailPermanently {
                reason: reason.to_owned(),
            },
            TaskAction::BlockDependents,
        ]
    }

    #[test]
    fn what_the_checks_say_decides() {
        use TaskStatus::{Blocked, Completed, Failed, Validating};
        let fault = "the sandbox lacks `iniconfig`".to_owned();
        let passed = vec![
            TaskAction::ClearFaults,
            TaskAction::moved(Completed, "its checks passed"),
            TaskAction::QueueMerge,
        ];
        let waits = vec![
            TaskAction::Block {
                block: TaskBlock::Environment,
                reason: "environment_fault: the sandbox lacks `iniconfig`".to_owned(),
            },
            TaskAction::BlockWaiting,
        ];
        let none = unchecked("needs_check: neither a check of its own nor a project suite");
        let own = unchecked(
            "check_proves_nothing: it passes without the work, and there is no project suite",
        );
        for (round, result, expected) in [
            (0, ChecksResult::Passed, passed),
            // What a round is, and when none is left, is a rule of its own.
            (
                0,
                ChecksResult::Failed(unmet()),
                send_back_task(Validating, 0, unmet()),
            ),
            (
                2,
                ChecksResult::Failed(unmet()),
                send_back_task(Validating, 2, unmet()),
            ),
            (2, ChecksResult::Untested { fault }, waits),
            (0, ChecksResult::NoCheck { has_own: false }, none),
            (0, ChecksResult::NoCheck { has_own: true }, own),
        ] {
            let actions = conclude_checks(validated(round), result.clone());
            assert_eq!(actions, expected, "{round} {result:?}");
            let mut at = Validating;
            for action in &actions {
                let to = match action {
                    TaskAction::Move { to, .. } => *to,
                    TaskAction::Block { .. } => Blocked,
                    TaskAction::FailPermanently { .. } => Failed,
                    _ => continue,
                };
                assert!(transition(at, to).is_ok(), "{at} -> {to}: {result:?}");
                at = to;
            }
        }
    }

    #[test]
    fn only_refused_work_costs_a_round() {
        let fault = "no network".to_owned();
        for (result, costs_round) in [
            (ChecksResult::Failed(unmet()), true),
            (ChecksResult::Untested { fault }, false),
            (ChecksResult::Passed, false),
        ] {
            let actions = conclude_checks(validated(1), result.clone());
            let counts = actions.contains(&TaskAction::SetRound(2));
            assert_eq!(counts, costs_round, "{result:?}");
        }
    }

    #[test]
    fn a_task_that_was_moved_meanwhile_is_left_alone() {
        for status in [TaskStatus::Cancelled, TaskStatus::PendingValidation] {
            let task = ValidatedTask { status, round: 0 };
            assert_eq!(conclude_checks(task, ChecksResult::Passed), [], "{status}");
        }
    }
}
