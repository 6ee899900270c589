//! A merge that may have been left behind: by its attempt, or by the task that was to resolve it.

use super::resolution_lost::{Resolution, resolution_lost};
use super::take_up::take_up_merge;
use super::{MergeAction, MergeTries};
use crate::lifecycle::tries::EarlierRun;
use crate::merge::MergeState;

/// What is known of a merge that is neither in its queue nor over.
#[derive(Clone, Copy, Debug)]
pub struct LeftMerge<'a> {
    /// Where it stands.
    pub state: MergeState,
    /// Attempts at it, oldest first.
    pub runs: &'a [EarlierRun],
    /// How often it was tried.
    pub tries: MergeTries,
    /// The task that resolves its conflict, where it has one.
    pub resolution: Option<Resolution<'a>>,
}

/// Gives a merge whose attempt is gone another turn, and one whose resolution is lost to a person.
pub fn settle_merge(merge: LeftMerge<'_>) -> Vec<MergeAction> {
    match (merge.state, merge.resolution) {
        (MergeState::Resolving, Some(resolution)) => resolution_lost(merge.state, resolution),
        _ => take_up_merge(merge.state, merge.runs, merge.tries),
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk_moves;
    use super::*;
    use crate::attempt::AttemptState;
    use crate::task::TaskStatus;
    use crate::time::Timestamp;

    #[test]
    fn a_merge_is_left_by_its_attempt_or_by_its_resolution() {
        use MergeState::{Completed, InProgress, Manual, Pending, Resolving, Verifying};
        use TaskStatus::{Failed, Running};
        let gone = || vec![MergeAction::move_because(Pending, "its attempt is gone")];
        let error = "TSK-009 did not resolve it: no round left";
        let waits = vec![
            MergeAction::KeepError(error.to_owned()),
            MergeAction::move_because(Manual, error),
            MergeAction::BlockWaiting,
            MergeAction::AskPeople,
        ];
        for (state, attempt, resolved_by, expected) in [
            (InProgress, AttemptState::Running, None, vec![]),
            (InProgress, AttemptState::Lost, None, gone()),
            // It conflicted before, and its resolution landed without it.
            (Verifying, AttemptState::Lost, Some(Failed), gone()),
            (Resolving, AttemptState::Succeeded, Some(Running), vec![]),
            (Resolving, AttemptState::Succeeded, Some(Failed), waits),
            (Resolving, AttemptState::Succeeded, None, vec![]),
            (Pending, AttemptState::Lost, None, vec![]),
            (Completed, AttemptState::Succeeded, None, vec![]),
        ] {
            let runs = [EarlierRun {
                state: attempt,
                round: 0,
                begun_at: Timestamp::from_micros(0),
                error: None,
            }];
            let actions = settle_merge(LeftMerge {
                state,
                runs: &runs,
                tries: MergeTries {
                    number: 1,
                    restarts: 0,
                },
                resolution: resolved_by.map(|status| Resolution {
                    number: 9,
                    status,
                    error: Some("no round left"),
                }),
            });
            assert_eq!(actions, expected, "{state} {attempt}");
            walk_moves(state, &actions);
        }
    }
}
