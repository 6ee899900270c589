//! The output of a phase is accepted.

use serde_json::Value;

use super::PhaseAction;
use crate::phase::{Phase, PhaseVerdict};
use crate::spec::{PhaseState, SpecStatus};

/// An output that passed its gate.
#[derive(Clone, Debug)]
pub struct PassedOutput {
    /// The phase.
    pub phase: Phase,
    /// What the gate said.
    pub verdict: PhaseVerdict,
    /// The gate's score.
    pub score: f64,
    /// The output.
    pub output: Value,
    /// Tells it from another one.
    pub digest: String,
    /// Whether tasks are released as soon as they are planned.
    pub is_auto_start: bool,
}

/// Accepts the output of a phase. That of sync also writes the plan and ends planning. Why an earlier
/// output was refused stays: a person may ask.
pub fn pass_phase(passed: PassedOutput) -> Vec<PhaseAction> {
    let (phase, is_auto_start) = (passed.phase, passed.is_auto_start);
    let mut actions = accept_output(passed);
    let next = phase.next().unwrap_or(Phase::Complete);
    if next != Phase::Complete {
        actions.push(PhaseAction::SetCurrentPhase(next));
        return actions;
    }
    let moved = |to| PhaseAction::MoveSpec { to, reason: None };
    actions.extend([
        PhaseAction::WritePlan,
        PhaseAction::SetCurrentPhase(Phase::Complete),
        PhaseAction::EndPlanning { failed_phase: None },
        moved(SpecStatus::Completed),
    ]);
    if is_auto_start {
        actions.push(moved(SpecStatus::Working));
    }
    actions
}

/// Accepts the document of a phase of a ticket, which the ticket is given, and has its spec stand at the next one.
pub fn pass_document(passed: PassedOutput) -> Vec<PhaseAction> {
    let next = passed.phase.next().unwrap_or(Phase::Complete);
    let mut actions = accept_output(passed);
    actions.extend([
        PhaseAction::KeepDocument,
        PhaseAction::SetCurrentPhase(next),
    ]);
    actions
}

fn accept_output(passed: PassedOutput) -> Vec<PhaseAction> {
    let PassedOutput {
        verdict,
        score,
        output,
        digest,
        ..
    } = passed;
    vec![
        PhaseAction::KeepScore(score),
        PhaseAction::AcceptOutput { output, digest },
        PhaseAction::TellVerdict(verdict.clone()),
        PhaseAction::Move {
            to: PhaseState::Passed,
            verdict,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_phase_follows_and_sync_writes_the_plan() {
        let verdict = || PhaseVerdict {
            score: Some(0.9),
            passed: Some(true),
            ..PhaseVerdict::default()
        };
        let moved = |to| PhaseAction::MoveSpec { to, reason: None };
        let whole = || {
            vec![
                PhaseAction::WritePlan,
                PhaseAction::SetCurrentPhase(Phase::Complete),
                PhaseAction::EndPlanning { failed_phase: None },
                moved(SpecStatus::Completed),
            ]
        };
        let mut released = whole();
        released.push(moved(SpecStatus::Working));
        for (phase, is_auto_start, then) in [
            (
                Phase::Explore,
                true,
                vec![PhaseAction::SetCurrentPhase(Phase::Prd)],
            ),
            (
                Phase::Tasks,
                false,
                vec![PhaseAction::SetCurrentPhase(Phase::Sync)],
            ),
            (Phase::Sync, false, whole()),
            (Phase::Sync, true, released),
        ] {
            let actions = pass_phase(PassedOutput {
                phase,
                verdict: verdict(),
                score: 0.9,
                output: Value::Null,
                digest: "d".to_owned(),
                is_auto_start,
            });
            let mut expected = vec![
                PhaseAction::KeepScore(0.9),
                PhaseAction::AcceptOutput {
                    output: Value::Null,
                    digest: "d".to_owned(),
                },
                PhaseAction::TellVerdict(verdict()),
                PhaseAction::Move {
                    to: PhaseState::Passed,
                    verdict: verdict(),
                },
            ];
            expected.extend(then);
            assert_eq!(actions, expected, "{phase} {is_auto_start}");
        }
    }

    #[test]
    fn a_document_is_given_to_its_ticket_and_writes_no_plan() {
        for (phase, next) in [
            (Phase::TicketRequirements, Phase::TicketDesign),
            (Phase::TicketDesign, Phase::Complete),
        ] {
            let actions = pass_document(PassedOutput {
                phase,
                verdict: PhaseVerdict::default(),
                score: 1.0,
                output: Value::Null,
                digest: "d".to_owned(),
                is_auto_start: true,
            });
            let expected = [
                PhaseAction::KeepDocument,
                PhaseAction::SetCurrentPhase(next),
            ];
            assert!(actions.ends_with(&expected), "{actions:?}");
            assert!(!actions.contains(&PhaseAction::WritePlan), "{phase}");
        }
    }
}
