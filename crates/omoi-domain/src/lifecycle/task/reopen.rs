//! A task that landed and is red at the head.

use super::{TaskAction, UnmetResult, send_back_task};
use crate::task::TaskStatus;

/// Sends a task with a red check of its own at `head` back for a round. Its commits stay in the
/// branch: from here on its own work is what stands on top of the head. One that is open already has
/// its round.
pub fn reopen_task(
    status: TaskStatus,
    round: u32,
    head: &str,
    unmet: UnmetResult,
) -> Vec<TaskAction> {
    if status != TaskStatus::Completed {
        return Vec::new();
    }
    let headline = unmet.feedback.lines().next().unwrap_or_default().to_owned();
    let mut actions = vec![
        TaskAction::TakeBackLanded { reason: headline },
        TaskAction::KeepBase(head.to_owned()),
        TaskAction::ReopenTicket,
    ];
    actions.extend(send_back_task(status, round, unmet));
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{ROUNDS_MAX, UnmetCode};

    #[test]
    fn landed_work_goes_back_once() {
        use TaskStatus::{Completed, Failed, Pending, Running};
        for (status, round, ends) in [
            (Completed, 0, Some(Pending)),
            (Completed, ROUNDS_MAX - 1, Some(Failed)),
            (Pending, 1, None),
            (Running, 1, None),
            (Failed, 2, None),
        ] {
            let unmet = UnmetResult {
                code: UnmetCode::HeadRed,
                feedback: "1 of 3 checks failed\nTraceback".to_owned(),
                recommendations: Vec::new(),
            };
            let actions = reopen_task(status, round, "head", unmet);
            let Some(ends) = ends else {
                assert_eq!(actions, [], "{status}");
                continue;
            };
            assert_eq!(
                actions[..3],
                [
                    TaskAction::TakeBackLanded {
                        reason: "1 of 3 checks failed".to_owned()
                    },
                    TaskAction::KeepBase("head".to_owned()),
                    TaskAction::ReopenTicket,
                ]
            );
            let last = actions.iter().rev().find_map(|action| match action {
                TaskAction::Move { to, .. } => Some(*to),
                TaskAction::FailPermanently { .. } => Some(Failed),
                _ => None,
            });
            assert_eq!(last, Some(ends), "{status} {round}");
        }
    }
}
