//! A phase whose attempt could not start since something outside did not answer.

use super::PhaseAction;
use crate::block::SpecBlock;
use crate::phase::Phase;
use crate::postponed_start::PostponedStep;
use crate::spec::PhaseState;

/// What is known when the start of an attempt at a phase was put off.
#[derive(Clone, Debug)]
pub struct PostponedPhase {
    /// The phase.
    pub phase: Phase,
    /// Attempts that counted, this one included.
    pub attempts: u32,
    /// What did not answer.
    pub message: String,
    /// Whether it is tried again, or a person asked.
    pub step: PostponedStep,
}

/// Has a phase wait for its next start, or its spec for a person. That is no attempt of the model.
pub fn postpone_phase(postponed: PostponedPhase) -> Vec<PhaseAction> {
    let PostponedPhase { phase, message, .. } = postponed;
    let mut actions = vec![PhaseAction::SetAttempts(
        postponed.attempts.saturating_sub(1),
    )];
    match postponed.step {
        PostponedStep::TryAgain { at, n_left } => {
            let time = at.date_and_time();
            let reason =
                format!("not begun: {message}; tried again at {time}, at most {n_left} times");
            actions.push(PhaseAction::WaitUntil(at));
            actions.push(PhaseAction::moved(PhaseState::Backoff, reason));
        }
        PostponedStep::Stop { n_starts } => {
            let reason = format!(
                "{}: phase {phase} could not be begun {n_starts} times in a row: {message}; resume it once that answers",
                SpecBlock::Environment
            );
            actions.push(PhaseAction::moved(PhaseState::Pending, reason.clone()));
            actions.extend(PhaseAction::block_spec(
                phase,
                SpecBlock::Environment,
                reason,
            ));
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;
    use crate::time::Timestamp;

    #[test]
    fn a_phase_waits_for_its_time_and_then_its_spec_for_a_person() {
        let postponed = |step| PostponedPhase {
            phase: Phase::Prd,
            attempts: 2,
            message: "nobody answers".to_owned(),
            step,
        };
        let at = Timestamp::from_micros(60_000_000);
        let waits = postpone_phase(postponed(PostponedStep::TryAgain { at, n_left: 7 }));
        let told = "not begun: nobody answers; tried again at 1970-01-01 00:01:00, at most 7 times";
        let expected = [
            PhaseAction::SetAttempts(1),
            PhaseAction::WaitUntil(at),
            PhaseAction::moved(PhaseState::Backoff, told.to_owned()),
        ];
        assert_eq!(waits, expected);
        let stops = postpone_phase(postponed(PostponedStep::Stop { n_starts: 8 }));
        let told = "environment_fault: phase prd could not be begun 8 times in a row: nobody answers; resume it once that \
            answers";
        let blocks = PhaseAction::block_spec(Phase::Prd, SpecBlock::Environment, told.to_owned());
        assert_eq!(stops[2..], Vec::from_iter(blocks));
        for to in [PhaseState::Backoff, PhaseState::Pending] {
            assert!(transition(PhaseState::Running, to).is_ok(), "{to}");
        }
    }
}
