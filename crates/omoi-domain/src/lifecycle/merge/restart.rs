//! A merge that starts over.

use super::{MergeAction, wait_for_person};
use crate::id::HumanRef;
use crate::merge::MergeState;

/// Times a merge may start over before a person must look.
pub const RESTARTS_MAX: u32 = 5;

/// How often a merge was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeTries {
    /// `n` of the `TSK-n` it lands.
    pub number: i64,
    /// Times it started over.
    pub restarts: u32,
}

/// Puts a merge back into the queue; too often, and a person must look.
pub fn restart_merge(tries: MergeTries, why: &str) -> Vec<MergeAction> {
    if tries.restarts < RESTARTS_MAX {
        return vec![
            MergeAction::CountRestart,
            MergeAction::move_because(MergeState::Pending, why),
        ];
    }
    wait_for_person(format!(
        "{} was not merged in {} more tries: {why}",
        HumanRef::task(tries.number),
        tries.restarts
    ))
}

#[cfg(test)]
mod tests {
    use super::super::walk_moves;
    use super::*;

    #[test]
    fn a_person_looks_after_the_last_restart() {
        let again = || {
            vec![
                MergeAction::CountRestart,
                MergeAction::move_because(MergeState::Pending, "the target moved"),
            ]
        };
        let stop = "TSK-007 was not merged in 5 more tries: the target moved";
        for (restarts, expected) in [
            (0, again()),
            (RESTARTS_MAX - 1, again()),
            (
                RESTARTS_MAX,
                vec![
                    MergeAction::KeepError(stop.to_owned()),
                    MergeAction::move_because(MergeState::Manual, stop),
                    MergeAction::BlockWaiting,
                ],
            ),
        ] {
            let tries = MergeTries {
                number: 7,
                restarts,
            };
            let actions = restart_merge(tries, "the target moved");
            assert_eq!(actions, expected, "{restarts}");
            for from in [
                MergeState::InProgress,
                MergeState::Verifying,
                MergeState::Resolving,
            ] {
                walk_moves(from, &actions);
            }
        }
    }
}
