//! A merge whose attempt is gone.

use super::{MergeAction, MergeTries, restart_merge};
use crate::attempt::AttemptState;
use crate::lifecycle::tries::{EarlierRun, is_under_way};
use crate::merge::MergeState;

/// Gives a merge that had its turn in an attempt which is over another one. A process that died says
/// nothing about the merge; an attempt that failed counts.
pub(super) fn take_up_merge(
    state: MergeState,
    runs: &[EarlierRun],
    tries: MergeTries,
) -> Vec<MergeAction> {
    if !state.has_turn() || is_under_way(runs) {
        return Vec::new();
    }
    match runs.last() {
        Some(run) if run.state == AttemptState::Failed => {
            restart_merge(tries, run.error.as_deref().unwrap_or("it failed"))
        }
        _ => vec![MergeAction::move_because(
            MergeState::Pending,
            "its attempt is gone",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk_moves;
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn only_a_failed_attempt_counts() {
        use AttemptState::{Failed, Interrupted, Lost, Running, Starting};
        use MergeState::{InProgress, Manual, Pending, Resolving, Verifying};
        let tries = MergeTries {
            number: 1,
            restarts: 0,
        };
        let gone = vec![MergeAction::move_because(Pending, "its attempt is gone")];
        let failed = restart_merge(tries, "git refused");
        for (state, runs, expected) in [
            (InProgress, vec![Starting], vec![]),
            (Verifying, vec![Failed, Running], vec![]),
            (InProgress, vec![Failed], failed.clone()),
            (Verifying, vec![Lost, Failed], failed),
            (Verifying, vec![Failed, Lost], gone.clone()),
            (InProgress, vec![Interrupted], gone.clone()),
            (InProgress, vec![], gone),
            (Pending, vec![Failed], vec![]),
            (Resolving, vec![Lost], vec![]),
            (Manual, vec![Failed], vec![]),
        ] {
            let runs: Vec<_> = runs
                .into_iter()
                .map(|state| EarlierRun {
                    state,
                    round: 0,
                    begun_at: Timestamp::from_micros(0),
                    error: Some("git refused".to_owned()),
                })
                .collect();
            let actions = take_up_merge(state, &runs, tries);
            assert_eq!(actions, expected, "{state} {runs:?}");
            walk_moves(state, &actions);
        }
    }
}
