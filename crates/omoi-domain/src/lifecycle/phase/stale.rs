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
            let actions = stale_phase(state);
            assert!(actions.contains(&PhaseAction::SetAttempts(0)));
            assert!(actions.contains(&PhaseAction::DropOutput));
            let moved = PhaseAction::moved(PhaseState::Pending, "its inputs changed");
            let is_moved = state != PhaseState::Pending;
            assert_eq!(actions.contains(&moved), is_moved, "{state}");
        }
    }
}
