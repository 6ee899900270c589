//! A merge that nobody waits for any more.

use super::MergeAction;
use crate::merge::MergeState;

/// Cancels a merge that waits for a person: its task goes back itself.
pub fn cancel_merge(why: &str) -> Vec<MergeAction> {
    vec![MergeAction::move_because(MergeState::Cancelled, why)]
}

#[cfg(test)]
mod tests {
    use super::super::walk_moves;
    use super::*;

    #[test]
    fn a_merge_that_waits_for_a_person_is_cancelled() {
        let actions = cancel_merge("its task is tried again");
        let moved = MergeAction::move_because(MergeState::Cancelled, "its task is tried again");
        assert_eq!(actions, [moved]);
        assert_eq!(
            walk_moves(MergeState::Manual, &actions),
            MergeState::Cancelled
        );
    }
}
