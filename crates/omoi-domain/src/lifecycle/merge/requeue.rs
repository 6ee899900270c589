//! A merge that a person has tried again.

use super::MergeAction;
use crate::merge::MergeState;

/// Puts a merge back into its queue with all its tries, and frees what waited for its task.
pub fn requeue_merge(why: &str) -> Vec<MergeAction> {
    vec![
        MergeAction::ResetTries,
        MergeAction::move_because(MergeState::Pending, why),
        MergeAction::FreeDependents,
    ]
}

#[cfg(test)]
mod tests {
    use super::super::walk_moves;
    use super::*;

    #[test]
    fn a_merge_that_waits_goes_back_with_all_its_tries() {
        use MergeState::{Manual, Pending, Resolving};
        let actions = requeue_merge("again");
        let expected = [
            MergeAction::ResetTries,
            MergeAction::move_because(Pending, "again"),
            MergeAction::FreeDependents,
        ];
        assert_eq!(actions, expected);
        for from in [Manual, Resolving] {
            assert_eq!(walk_moves(from, &actions), Pending);
        }
    }
}
