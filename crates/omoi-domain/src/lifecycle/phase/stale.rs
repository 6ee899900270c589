//! The inputs of a phase changed.

use super::PhaseAction;
use crate::spec::PhaseState;

const INPUTS_CHANGED: &str = "its inputs changed";

/// Drops what a phase in `state` made of other inputs, and ends the attempt that still makes something
/// of them.
pub fn stale_phase(state: PhaseState) -> Vec<PhaseAction> {
    let mut actions = vec![
        PhaseAction::SetAttempts(0),
        PhaseAction::DropOutput,
        PhaseAction::EndAttempt {
            reason: INPUTS_CHANGED.to_owned(),
        },
    ];
    if state != PhaseState::Pending {
        actions.push(PhaseAction::moved(PhaseState::Pending, INPUTS_CHANGED));
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_phase_begins_anew() {
        for state in PhaseState::ALL.iter().copied() {
            let mut expected = vec![
                PhaseAction::SetAttempts(0),
                PhaseAction::DropOutput,
                PhaseAction::EndAttempt {
                    reason: "its inputs changed".to_owned(),
                },
            ];
            if state != PhaseState::Pending {
                let reason = "its inputs changed";
                expected.push(PhaseAction::moved(PhaseState::Pending, reason));
            }
            assert_eq!(stale_phase(state), expected, "{state}");
        }
    }
}
