//! A merge whose merged tree is checked.

use super::{MergeAction, wait_for_person};
use crate::block::TaskBlockKind;
use crate::lifecycle::task::UnmetResult;
use crate::merge::MergeState;

/// Why a merged tree may not land.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergedTree {
    /// Some check is red, and the work is why.
    Red(UnmetResult),
    /// Every red check is red because the machine lacks something.
    Untested {
        /// What it lacks.
        fault: String,
    },
}

/// Has the merge commit checked.
pub fn check_merge(commit: String) -> Vec<MergeAction> {
    vec![
        MergeAction::KeepCommit(commit),
        MergeAction::move_to(MergeState::Verifying),
    ]
}

/// Decides what a merged tree that may not land means for a merge onto `target`.
///
/// A red tree sends its task back for a round that starts from the merged tree, so that the task's
/// own work is what stands on top of the target. What the machine lacks is no round: no agent can
/// mend it.
pub fn judge_merged_tree(tree: MergedTree, target: &str) -> Vec<MergeAction> {
    match tree {
        MergedTree::Untested { fault } => {
            let error = format!("{}: {fault}", TaskBlockKind::Environment);
            let mut actions = vec![MergeAction::WaitForMachine];
            actions.extend(wait_for_person(error));
            actions
        }
        MergedTree::Red(unmet) => {
            let headline = unmet.feedback.lines().next().unwrap_or_default().to_owned();
            vec![
                MergeAction::KeepError(headline.clone()),
                MergeAction::move_because(MergeState::Failed, headline),
                MergeAction::KeepTaskBase(target.to_owned()),
                MergeAction::SendBack(unmet),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk_moves;
    use super::*;
    use crate::task::UnmetCode;

    #[test]
    fn what_the_checks_say_decides() {
        let unmet = UnmetResult {
            code: UnmetCode::MergeRed,
            feedback: "1 of 2 checks failed\nAssertionError".to_owned(),
            recommendations: vec!["mend it".to_owned()],
        };
        let fault = "environment_fault: the sandbox lacks `iniconfig`";
        for (tree, ends, expected) in [
            (
                MergedTree::Red(unmet.clone()),
                MergeState::Failed,
                vec![
                    MergeAction::KeepError("1 of 2 checks failed".to_owned()),
                    MergeAction::move_because(MergeState::Failed, "1 of 2 checks failed"),
                    MergeAction::KeepTaskBase("target".to_owned()),
                    MergeAction::SendBack(unmet),
                ],
            ),
            (
                MergedTree::Untested {
                    fault: "the sandbox lacks `iniconfig`".to_owned(),
                },
                MergeState::Manual,
                vec![
                    MergeAction::WaitForMachine,
                    MergeAction::KeepError(fault.to_owned()),
                    MergeAction::move_because(MergeState::Manual, fault),
                    MergeAction::BlockWaiting,
                ],
            ),
        ] {
            let actions = judge_merged_tree(tree, "target");
            assert_eq!(actions, expected);
            assert_eq!(walk_moves(MergeState::Verifying, &actions), ends);
        }
        let checked = check_merge("commit".to_owned());
        assert_eq!(
            walk_moves(MergeState::InProgress, &checked),
            MergeState::Verifying
        );
        assert_eq!(checked[0], MergeAction::KeepCommit("commit".to_owned()));
    }
}
