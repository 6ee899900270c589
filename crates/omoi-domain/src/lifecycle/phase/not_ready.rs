//! A whole plan that cannot be worked on.

use super::PhaseAction;
use crate::block::SpecBlock;
use crate::phase::{Phase, PhaseVerdict};
use crate::spec::PhaseState;

/// Why a whole plan cannot be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanBlocker {
    /// The phase that must change for it.
    pub phase: Phase,
    /// What must change, for people and for the next attempt at the phase.
    pub reason: String,
}

/// Has the spec wait for a person, with the phase at fault as where to resume. Sync, which found it with
/// `score` and `verdict`, runs again after.
pub fn block_not_ready(score: f64, verdict: PhaseVerdict, fault: PlanBlocker) -> Vec<PhaseAction> {
    let PlanBlocker { phase, reason } = fault;
    let verdict = PhaseVerdict {
        reason: Some(SpecBlock::PlanNotReady.as_str().to_owned()),
        ..verdict
    };
    let mut actions = vec![
        PhaseAction::KeepScore(score),
        PhaseAction::SetAttempts(0),
        PhaseAction::Move {
            to: PhaseState::Pending,
            verdict,
        },
        PhaseAction::LeaveFeedback {
            phase,
            feedback: reason.clone(),
        },
        PhaseAction::SetCurrentPhase(phase),
    ];
    actions.extend(PhaseAction::block_spec(
        phase,
        SpecBlock::PlanNotReady,
        reason,
    ));
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_waits_at_the_phase_at_fault() {
        for phase in [Phase::Requirements, Phase::Tasks] {
            let reason = "not ready for execution: no tasks".to_owned();
            let fault = PlanBlocker {
                phase,
                reason: reason.clone(),
            };
            let found = PhaseVerdict {
                blockers: vec!["no_tasks".to_owned()],
                ..PhaseVerdict::default()
            };
            let told = PhaseVerdict {
                reason: Some("not_ready".to_owned()),
                ..found.clone()
            };
            let expected = [
                PhaseAction::KeepScore(0.7),
                // Sync runs again after, with all its attempts.
                PhaseAction::SetAttempts(0),
                PhaseAction::Move {
                    to: PhaseState::Pending,
                    verdict: told,
                },
                PhaseAction::LeaveFeedback {
                    phase,
                    feedback: reason.clone(),
                },
                PhaseAction::SetCurrentPhase(phase),
                PhaseAction::EndPlanning {
                    failed_phase: Some(phase),
                },
                PhaseAction::BlockSpec {
                    block: SpecBlock::PlanNotReady,
                    reason,
                },
            ];
            assert_eq!(block_not_ready(0.7, found, fault), expected);
        }
    }
}
