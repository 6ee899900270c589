//! A merge whose merged tree is checked.

use std::fmt;

use super::{MergeAction, wait_for_person};
use crate::block::TaskBlockKind;
use crate::lifecycle::task::UnmetResult;
use crate::merge::MergeState;

/// What the checks said of a merged tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergedTree {
    /// No check is red.
    Green,
    /// Some check is red, and the work is why.
    Red(UnmetResult),
    /// Every red check is red because the machine lacks something.
    Untested {
        /// What it lacks.
        fault: String,
    },
}

impl MergedTree {
    /// What follows from the red checks and from what the machine lacks, where that is why every one of
    /// them is red.
    pub fn from_checks(unmet: Option<UnmetResult>, fault: Option<String>) -> Self {
        match (unmet, fault) {
            (None, _) => Self::Green,
            (Some(_), Some(fault)) => Self::Untested { fault },
            (Some(unmet), None) => Self::Red(unmet),
        }
    }
}

impl fmt::Display for MergedTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Green => f.write_str("is green"),
            Self::Red(_) => f.write_str("is red"),
            Self::Untested { fault } => write!(f, "could not be tested: {fault}"),
        }
    }
}

/// What follows for a merge whose merged tree was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeVerdict {
    /// It lands.
    Land,
    /// Its task has another round, which starts from the merged tree.
    SendBack(Vec<MergeAction>),
    /// It waits for the machine.
    Wait(Vec<MergeAction>),
}

/// Has the merge commit checked.
pub fn check_merge(commit: String) -> Vec<MergeAction> {
    vec![
        MergeAction::KeepCommit(commit),
        MergeAction::move_to(MergeState::Verifying),
    ]
}

/// Decides what a checked tree means for a merge onto `target`.
///
/// A red tree sends its task back for a round that starts from the merged tree, so that the task's
/// own work is what stands on top of the target. What the machine lacks is no round: no agent can
/// mend it.
pub fn judge_merged_tree(tree: MergedTree, target: &str) -> TreeVerdict {
    match tree {
        MergedTree::Green => TreeVerdict::Land,
        MergedTree::Untested { fault } => {
            let error = format!("{}: {fault}", TaskBlockKind::Environment);
            let mut actions = vec![MergeAction::WaitForMachine];
            actions.extend(wait_for_person(error));
            TreeVerdict::Wait(actions)
        }
        MergedTree::Red(unmet) => {
            let headline = unmet.feedback.lines().next().unwrap_or_default().to_owned();
            TreeVerdict::SendBack(vec![
                MergeAction::KeepError(headline.clone()),
                MergeAction::move_because(MergeState::Failed, headline),
                MergeAction::KeepTaskBase(target.to_owned()),
                MergeAction::SendBack(unmet),
            ])
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
        let red = vec![
            MergeAction::KeepError("1 of 2 checks failed".to_owned()),
            MergeAction::move_because(MergeState::Failed, "1 of 2 checks failed"),
            MergeAction::KeepTaskBase("target".to_owned()),
            MergeAction::SendBack(unmet.clone()),
        ];
        let waits = vec![
            MergeAction::WaitForMachine,
            MergeAction::KeepError(fault.to_owned()),
            MergeAction::move_because(MergeState::Manual, fault),
            MergeAction::BlockWaiting,
        ];
        assert_eq!(walk_moves(MergeState::Verifying, &red), MergeState::Failed);
        assert_eq!(
            walk_moves(MergeState::Verifying, &waits),
            MergeState::Manual
        );
        let lacks = Some("the sandbox lacks `iniconfig`".to_owned());
        for (unmet, fault, expected) in [
            (None, None, TreeVerdict::Land),
            (Some(unmet.clone()), None, TreeVerdict::SendBack(red)),
            (Some(unmet), lacks, TreeVerdict::Wait(waits)),
        ] {
            let tree = MergedTree::from_checks(unmet, fault);
            assert_eq!(judge_merged_tree(tree, "target"), expected);
        }
        let checked = check_merge("commit".to_owned());
        assert_eq!(
            walk_moves(MergeState::InProgress, &checked),
            MergeState::Verifying
        );
        assert_eq!(checked[0], MergeAction::KeepCommit("commit".to_owned()));
    }
}
