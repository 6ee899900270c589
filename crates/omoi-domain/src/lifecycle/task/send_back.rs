//! A task whose result is not accepted.

use super::TaskAction;
use crate::task::{ROUNDS_MAX, TaskRevision, TaskStatus, UnmetCode};

/// Why a task's result is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmetResult {
    /// What kind of fault it is.
    pub code: UnmetCode,
    /// What happened, with the failing command's own words.
    pub feedback: String,
    /// One line per thing to mend.
    pub recommendations: Vec<String>,
}

/// Sends a task back for another round with the reason, or fails it when no round is left.
///
/// `status` is `running` or `validating`; or `completed`, when a merge refused what the checks had
/// passed and the task is open again. `round` counts the times it was sent back before.
pub fn send_back_task(status: TaskStatus, round: u32, unmet: UnmetResult) -> Vec<TaskAction> {
    let iteration = round + 1;
    let headline = unmet.feedback.lines().next().unwrap_or_default();
    let problem = format!("{}: {headline}", unmet.code);
    let revision = TaskRevision {
        code: unmet.code,
        iteration,
        feedback: format!("{}: {}", unmet.code, unmet.feedback),
        recommendations: unmet.recommendations,
    };
    let mut actions = vec![
        TaskAction::KeepRevision(revision),
        TaskAction::KeepError {
            class: None,
            message: problem.clone(),
        },
    ];
    let was_completed = status == TaskStatus::Completed;
    let first = if was_completed {
        TaskStatus::Pending
    } else {
        TaskStatus::NeedsRevision
    };
    actions.push(TaskAction::moved(first, problem.clone()));
    actions.push(TaskAction::SetRound(iteration));
    if iteration < ROUNDS_MAX {
        if !was_completed {
            actions.push(TaskAction::moved(TaskStatus::Pending, "reset_for_revision"));
        }
        return actions;
    }
    let reason = format!("no round left after {iteration}: {problem}");
    actions.push(TaskAction::KeepError {
        class: None,
        message: reason.clone(),
    });
    actions.push(match was_completed {
        // It stands in the queue, and no retry follows.
        true => TaskAction::FailPermanently { reason },
        false => TaskAction::moved(TaskStatus::Failed, reason),
    });
    actions.push(TaskAction::BlockDependents);
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The actions of round `iteration`, up to its number, and those that follow.
    fn round(iteration: u32, first: TaskStatus, then: Vec<TaskAction>) -> Vec<TaskAction> {
        let problem = "checks_failed: 1 of 2";
        let mut actions = vec![
            TaskAction::KeepRevision(TaskRevision {
                code: UnmetCode::ChecksFailed,
                iteration,
                feedback: "checks_failed: 1 of 2\nAssertionError".to_owned(),
                recommendations: vec!["mend it".to_owned()],
            }),
            kept(problem),
            TaskAction::moved(first, problem),
            TaskAction::SetRound(iteration),
        ];
        actions.extend(then);
        actions
    }

    fn kept(message: &str) -> TaskAction {
        TaskAction::KeepError {
            class: None,
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_round_is_given_until_none_is_left() {
        use TaskStatus::{Completed, Failed, NeedsRevision, Pending, Running, Validating};
        let spent = "no round left after 3: checks_failed: 1 of 2";
        let again = || vec![TaskAction::moved(Pending, "reset_for_revision")];
        let over = |end| vec![kept(spent), end, TaskAction::BlockDependents];
        let failed = TaskAction::moved(Failed, spent);
        let for_good = TaskAction::FailPermanently {
            reason: spent.to_owned(),
        };
        for (status, tried, expected) in [
            (Running, 0, round(1, NeedsRevision, again())),
            (Validating, 1, round(2, NeedsRevision, again())),
            (Validating, 2, round(3, NeedsRevision, over(failed))),
            (Completed, 0, round(1, Pending, vec![])),
            (Completed, 2, round(3, Pending, over(for_good))),
        ] {
            let unmet = UnmetResult {
                code: UnmetCode::ChecksFailed,
                feedback: "1 of 2\nAssertionError".to_owned(),
                recommendations: vec!["mend it".to_owned()],
            };
            let actions = send_back_task(status, tried, unmet);
            assert_eq!(actions, expected, "{status} {tried}");
        }
    }
}
