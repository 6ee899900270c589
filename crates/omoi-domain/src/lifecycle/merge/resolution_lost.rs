//! A conflict whose resolving task will never land.

use super::{MergeAction, wait_for_person};
use crate::id::HumanRef;
use crate::merge::MergeState;
use crate::task::TaskStatus;

/// The task that resolves a conflict.
#[derive(Clone, Copy, Debug)]
pub struct Resolution<'a> {
    /// `n` of its `TSK-n`.
    pub number: i64,
    /// Where it stands.
    pub status: TaskStatus,
    /// What it failed of.
    pub error: Option<&'a str>,
}

/// Has a merge wait for a person when the task that resolves its conflict failed or was called off, and asks what becomes of it.
pub(super) fn resolution_lost(state: MergeState, resolution: Resolution<'_>) -> Vec<MergeAction> {
    let is_lost = matches!(
        resolution.status,
        TaskStatus::Failed | TaskStatus::Cancelled
    );
    if state != MergeState::Resolving || !is_lost {
        return Vec::new();
    }
    let mut actions = wait_for_person(format!(
        "{} did not resolve it: {}",
        HumanRef::task(resolution.number),
        resolution.error.unwrap_or_default()
    ));
    actions.push(MergeAction::AskPeople);
    actions
}

#[cfg(test)]
mod tests {
    use super::super::walk_moves;
    use super::*;

    #[test]
    fn a_lost_resolution_leaves_the_merge_to_a_person() {
        use MergeState::{Completed, Manual, Resolving};
        let error = "TSK-009 did not resolve it: no round left";
        let waits = || {
            vec![
                MergeAction::KeepError(error.to_owned()),
                MergeAction::move_because(Manual, error),
                MergeAction::BlockWaiting,
                MergeAction::AskPeople,
            ]
        };
        for (state, status, expected) in [
            (Resolving, TaskStatus::Failed, waits()),
            (Resolving, TaskStatus::Cancelled, waits()),
            (Resolving, TaskStatus::Running, vec![]),
            (Resolving, TaskStatus::Completed, vec![]),
            // A person may have it go on: it waits with its resolution.
            (Resolving, TaskStatus::Blocked, vec![]),
            (Completed, TaskStatus::Failed, vec![]),
        ] {
            let resolution = Resolution {
                number: 9,
                status,
                error: Some("no round left"),
            };
            let actions = resolution_lost(state, resolution);
            assert_eq!(actions, expected, "{state} {status}");
            walk_moves(state, &actions);
        }
    }
}
