//! A phase that cannot be gone on with.

use super::PhaseAction;
use crate::phase::Phase;
use crate::retry::PhaseFailure;
use crate::spec::{PhaseState, SpecStatus};

/// The phase that fails when the planning of a spec goes on failing; none for one that is not planned.
/// A whole plan that is looked at again fails with its first phase.
pub fn phase_at_fault(spec: SpecStatus, current: Phase) -> Option<Phase> {
    match (spec, current) {
        (SpecStatus::Executing, Phase::Complete) => Some(Phase::Explore),
        (SpecStatus::Executing, phase) => Some(phase),
        _ => None,
    }
}

/// Fails `phase`, which is in `state`, and its spec, because the planner itself failed at it for `reason`.
pub fn give_up_phase(phase: Phase, state: PhaseState, reason: &str) -> Vec<PhaseAction> {
    let failure = PhaseFailure::ExecutionError;
    let reason = format!("{failure}: {reason}");
    let mut actions = vec![PhaseAction::EndAttempt {
        reason: reason.clone(),
    }];
    if !matches!(state, PhaseState::Failed | PhaseState::Passed) {
        actions.push(PhaseAction::KeepFeedback(reason.clone()));
        actions.push(PhaseAction::moved(PhaseState::Failed, failure.as_str()));
    }
    let reason = format!("phase {phase} failed: {reason}");
    actions.extend(PhaseAction::fail_spec(phase, reason));
    actions
}

/// Fails the spec of a phase that has no attempt left.
pub fn give_up_spent_phase(phase: Phase) -> Vec<PhaseAction> {
    let reason = format!("phase {phase} has no attempt left");
    PhaseAction::fail_spec(phase, reason).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(reason: &str) -> PhaseAction {
        PhaseAction::MoveSpec {
            to: SpecStatus::Failed,
            reason: Some(reason.to_owned()),
        }
    }

    #[test]
    fn the_spec_fails_with_the_phase_it_stands_at() {
        for (state, is_moved) in [
            (PhaseState::Pending, true),
            (PhaseState::Running, true),
            (PhaseState::Backoff, true),
            (PhaseState::Passed, false),
            (PhaseState::Failed, false),
        ] {
            let actions = give_up_phase(Phase::Design, state, "no commit");
            let ended = PhaseAction::EndAttempt {
                reason: "execution_error: no commit".to_owned(),
            };
            assert_eq!(actions[0], ended);
            let moved = PhaseAction::moved(PhaseState::Failed, "execution_error");
            assert_eq!(actions.contains(&moved), is_moved, "{state}");
            let last = failed("phase design failed: execution_error: no commit");
            assert_eq!(actions.last(), Some(&last));
        }
        let spent = give_up_spent_phase(Phase::Prd);
        assert_eq!(spent.last(), Some(&failed("phase prd has no attempt left")));
    }

    #[test]
    fn only_a_spec_that_is_planned_has_a_phase_at_fault() {
        for (spec, current, expected) in [
            (SpecStatus::Executing, Phase::Design, Some(Phase::Design)),
            (SpecStatus::Executing, Phase::Complete, Some(Phase::Explore)),
            (SpecStatus::Cancelled, Phase::Design, None),
            (SpecStatus::Working, Phase::Complete, None),
        ] {
            assert_eq!(phase_at_fault(spec, current), expected, "{spec} {current}");
        }
    }
}
