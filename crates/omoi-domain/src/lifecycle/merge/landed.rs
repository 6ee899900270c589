//! A merge whose commits are in the integration branch, and what landed with it.

use super::{MergeAction, MergeTries, restart_merge};
use crate::merge::MergeState;

/// A merge whose conflict is resolved by the task that landed.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedWork {
    /// Where it stands.
    pub state: MergeState,
    /// Whether its commits really are in the branch.
    pub is_brought: bool,
    /// How often it was tried.
    pub tries: MergeTries,
}

/// Notes that a merge landed with `commit`.
pub fn land_merge(commit: &str) -> Vec<MergeAction> {
    vec![
        MergeAction::KeepCommit(commit.to_owned()),
        MergeAction::move_to(MergeState::Completed),
    ]
}

/// Closes the ticket of a landed merge if nothing of it is open, once what landed with the merge, or was
/// left out, has moved.
pub fn close_after_landing() -> Vec<MergeAction> {
    vec![MergeAction::CloseTicket]
}

/// Notes of a conflicted merge that it landed with its resolution in `commit`. A resolution that left
/// it out has it start over.
pub fn land_resolved(work: ResolvedWork, commit: &str) -> Vec<MergeAction> {
    match (work.state, work.is_brought) {
        (MergeState::Resolving, true) => {
            let mut actions = land_merge(commit);
            actions.extend(close_after_landing());
            actions
        }
        (MergeState::Resolving, false) => restart_merge(work.tries, "its resolution left it out"),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk_moves;
    use super::*;

    #[test]
    fn what_a_resolution_brought_lands_with_it() {
        use MergeState::{Completed, InProgress, Manual, Pending, Resolving, Verifying};
        for (state, is_brought, restarts, expected) in [
            (Resolving, true, 0, Completed),
            (Resolving, false, 0, Pending),
            (Resolving, false, 5, Manual),
            // A person had it merged again meanwhile.
            (Pending, true, 0, Pending),
            (Completed, true, 0, Completed),
        ] {
            let tries = MergeTries {
                number: 1,
                restarts,
            };
            let work = ResolvedWork {
                state,
                is_brought,
                tries,
            };
            let actions = land_resolved(work, "commit");
            assert_eq!(walk_moves(state, &actions), expected, "{work:?}");
            let is_landed = state == Resolving && expected == Completed;
            assert_eq!(actions.contains(&MergeAction::CloseTicket), is_landed);
            if expected == Manual {
                let error = "TSK-001 was not merged in 5 more tries: its resolution left it out";
                let waits = [
                    MergeAction::KeepError(error.to_owned()),
                    MergeAction::move_because(Manual, error),
                    MergeAction::BlockWaiting,
                ];
                assert_eq!(actions, waits, "{work:?}");
            }
        }
        for state in [InProgress, Verifying] {
            assert_eq!(walk_moves(state, &land_merge("commit")), Completed);
        }
    }
}
