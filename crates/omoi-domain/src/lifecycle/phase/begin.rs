//! A phase begins an attempt that counts.

use super::PhaseAction;
use crate::phase::PhaseVerdict;
use crate::spec::PhaseState;

/// Has a phase run its `attempt`th attempt that counts.
pub fn begin_phase(attempt: u32) -> Vec<PhaseAction> {
    vec![
        PhaseAction::SetAttempts(attempt),
        PhaseAction::Move {
            to: PhaseState::Running,
            verdict: PhaseVerdict::default(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_counted_before_it_is_made() {
        for attempt in [1, 3] {
            let actions = begin_phase(attempt);
            assert_eq!(actions[0], PhaseAction::SetAttempts(attempt));
            assert!(
                matches!(
                    actions[1],
                    PhaseAction::Move {
                        to: PhaseState::Running,
                        ..
                    }
                ),
                "{actions:?}"
            );
        }
    }
}
