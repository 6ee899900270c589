//! A phase whose attempt was refused a model call, because a budget is spent.

use super::PhaseAction;
use crate::block::SpecBlock;
use crate::phase::Phase;
use crate::spec::PhaseState;

/// What is known of a phase that a budget stopped.
#[derive(Clone, Debug)]
pub struct SpentPhase {
    /// The phase.
    pub phase: Phase,
    /// Attempts that counted, this one included.
    pub attempts: u32,
    /// Which budget is spent and what raises it.
    pub refusal: String,
}

/// Has the spec wait for a person, who raises the budget. That is no attempt of the model; what the phase has so
/// far stays.
pub fn block_spent_phase(spent: SpentPhase) -> Vec<PhaseAction> {
    let reason = format!("{}: {}", SpecBlock::Budget, spent.refusal);
    let mut actions = vec![
        PhaseAction::SetAttempts(spent.attempts.saturating_sub(1)),
        PhaseAction::moved(PhaseState::Pending, reason.clone()),
    ];
    actions.extend(PhaseAction::block_spec(
        spent.phase,
        SpecBlock::Budget,
        reason,
    ));
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn its_spec_waits_for_its_budget_and_no_attempt_is_counted() {
        let actions = block_spent_phase(SpentPhase {
            phase: Phase::Prd,
            attempts: 2,
            refusal: "the phase has spent all of it".to_owned(),
        });
        let reason = "budget_exceeded: the phase has spent all of it".to_owned();
        let mut expected = vec![
            PhaseAction::SetAttempts(1),
            PhaseAction::moved(PhaseState::Pending, reason.clone()),
        ];
        expected.extend(PhaseAction::block_spec(
            Phase::Prd,
            SpecBlock::Budget,
            reason,
        ));
        assert_eq!(actions, expected);
        assert!(transition(PhaseState::Running, PhaseState::Pending).is_ok());
    }
}
