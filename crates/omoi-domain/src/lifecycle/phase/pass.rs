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
    let PassedOutput {
        phase,
        verdict,
        score,
        output,
        digest,
        is_auto_start,
    } = passed;
    let mut actions = vec![
        PhaseAction::KeepScore(score),
        PhaseAction::AcceptOutput { output, digest },
        PhaseAction::TellVerdict(verdict.clone()),
        PhaseAction::Move {
            to: PhaseState::Passed,
            verdict,
        },
    ];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_phase_follows_and_sync_writes_the_plan() {
        for (phase, is_auto_start, current, n_moves) in [
            (Phase::Explore, true, Phase::Prd, 0),
            (Phase::Tasks, false, Phase::Sync, 0),
            (Phase::Sync, false, Phase::Complete, 1),
            (Phase::Sync, true, Phase::Complete, 2),
        ] {
            let actions = pass_phase(PassedOutput {
                phase,
                verdict: PhaseVerdict::default(),
                score: 0.9,
                output: Value::Null,
                digest: "d".to_owned(),
                is_auto_start,
            });
            assert!(actions.contains(&PhaseAction::SetCurrentPhase(current)));
            let is_last = phase == Phase::Sync;
            assert_eq!(actions.contains(&PhaseAction::WritePlan), is_last);
            let ended = PhaseAction::EndPlanning { failed_phase: None };
            assert_eq!(actions.contains(&ended), is_last);
            let moves = actions.iter().filter_map(|action| match action {
                PhaseAction::MoveSpec { to, .. } => Some(*to),
                _ => None,
            });
            let moves: Vec<_> = moves.collect();
            let all = [SpecStatus::Completed, SpecStatus::Working];
            assert_eq!(moves, all[..n_moves], "{phase}");
        }
    }
}
