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

    fn moves(actions: &[TaskAction]) -> Vec<(TaskStatus, &str)> {
        let moved = |action| match action {
            &TaskAction::Move { to, ref reason } => Some((to, reason.as_deref()?)),
            TaskAction::FailPermanently { reason } => Some((TaskStatus::Failed, reason.as_str())),
            _ => None,
        };
        actions.iter().filter_map(moved).collect()
    }

    #[test]
    fn a_round_is_given_until_none_is_left() {
        use TaskStatus::{Completed, Failed, NeedsRevision, Pending, Running, Validating};
        let problem = "checks_failed: 1 of 2";
        let spent = "no round left after 3: checks_failed: 1 of 2";
        let again = "reset_for_revision";
        for (status, round, expected) in [
            (Running, 0, vec![(NeedsRevision, problem), (Pending, again)]),
            (
                Validating,
                1,
                vec![(NeedsRevision, problem), (Pending, again)],
            ),
            (
                Validating,
                2,
                vec![(NeedsRevision, problem), (Failed, spent)],
            ),
            (Completed, 0, vec![(Pending, problem)]),
            (Completed, 2, vec![(Pending, problem), (Failed, spent)]),
        ] {
            let unmet = UnmetResult {
                code: UnmetCode::ChecksFailed,
                feedback: "1 of 2\nAssertionError".to_owned(),
                recommendations: vec!["mend it".to_owned()],
            };
            let actions = send_back_task(status, round, unmet);
            assert_eq!(moves(&actions), expected, "{status} {round}");
            assert!(actions.contains(&TaskAction::SetRound(round + 1)));
            let is_over = round + 1 == ROUNDS_MAX;
            assert_eq!(actions.contains(&TaskAction::BlockDependents), is_over);
            assert_eq!(
                actions.contains(&TaskAction::FailPermanently {
                    reason: spent.to_owned()
                }),
                is_over && status == Completed
            );
            let TaskAction::KeepRevision(revision) = &actions[0] else {
                unreachable!("{actions:?}")
            };
            assert_eq!(revision.iteration, round + 1);
            assert_eq!(revision.feedback, "checks_failed: 1 of 2\nAssertionError");
        }
    }
}
