//! Transitions of planning phases, and the actions they decide on.

mod attempt_failed;
mod begin;
mod edited_proofs;
mod give_up;
mod not_ready;
mod open;
mod opinion;
mod over_budget;
mod pass;
mod person_gate;
mod proofs;
mod provider;
mod refuse;
mod stale;
mod start_postponed;
mod step;
mod step_failed;

pub use attempt_failed::{FailedPhaseAttempt, judge_failed_attempt};
pub use begin::begin_phase;
pub use edited_proofs::{TriedProof, judge_edited_proofs};
pub use give_up::{give_up_phase, give_up_spent_phase, phase_at_fault};
pub use not_ready::{PlanBlocker, block_not_ready};
pub use open::{OpenPhase, StoredPhase, open_phase};
pub use opinion::{QuestionFacts, QuestionStep, question_step};
pub use over_budget::{SpentPhase, block_spent_phase};
pub use pass::{PassedOutput, pass_document, pass_phase};
pub use person_gate::{AskedOutput, PersonGate, person_gate, phase_asked_about, question_about};
pub use proofs::{ProofFacts, ProofStep, proof_step};
pub use provider::{PhaseOutage, provider_failed_phase};
pub use refuse::{PhaseRefusal, RefusalFacts, RefusedOutput, refuse_phase};
pub use stale::stale_phase;
pub use start_postponed::{PostponedPhase, postpone_phase};
pub use step::{PhaseAttempt, PhaseFacts, PhaseStep, phase_step};
pub use step_failed::{FailedStep, StepFailure, judge_failed_step};

use serde_json::Value;

use crate::block::SpecBlock;
use crate::phase::{Phase, PhaseVerdict};
use crate::spec::{PhaseState, SpecStatus};
use crate::time::Timestamp;

/// One change of a phase, or of its spec because of it. Actions are applied in order, in one
/// transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum PhaseAction {
    /// Moves it along its machine; the event carries the verdict.
    Move {
        /// State after.
        to: PhaseState,
        /// What the gate said, or why it moves.
        verdict: PhaseVerdict,
    },
    /// Tells of what the gate said.
    TellVerdict(PhaseVerdict),
    /// Says how many attempts count.
    SetAttempts(u32),
    /// Keeps the gate's last score.
    KeepScore(f64),
    /// Keeps what the next attempt is told.
    KeepFeedback(String),
    /// Keeps a refused output for a person to look at.
    KeepRejected {
        /// Its score.
        score: f64,
        /// The output, as far as it could be put together.
        output: Option<Value>,
    },
    /// Keeps an output that passed.
    AcceptOutput {
        /// The output.
        output: Value,
        /// Tells it from another one.
        digest: String,
    },
    /// Drops all that was made of other inputs.
    DropOutput,
    /// Says which inputs it works with.
    SetInputDigest(String),
    /// Lets the next attempt begin no earlier.
    WaitUntil(Timestamp),
    /// Ends the attempt that is under way.
    EndAttempt {
        /// Why.
        reason: String,
    },
    /// Notes that the doubts of a second opinion are sent back to the planner.
    MarkDoubtsSent,
    /// Tells the next attempt at `phase`, which may be another one, what to mend.
    LeaveFeedback {
        /// The phase.
        phase: Phase,
        /// What to mend.
        feedback: String,
    },
    /// Has the spec stand at a phase.
    SetCurrentPhase(Phase),
    /// Gives its ticket the document that was accepted.
    KeepDocument,
    /// Writes the rows of the plan.
    WritePlan,
    /// Tells that planning ended.
    EndPlanning {
        /// The phase that kept the plan from being whole, if one did.
        failed_phase: Option<Phase>,
    },
    /// Moves the spec along its machine; the event carries `reason`.
    MoveSpec {
        /// Status after.
        to: SpecStatus,
        /// Why, where a person may ask.
        reason: Option<String>,
    },
    /// Has the spec wait for something.
    BlockSpec {
        /// For what.
        block: SpecBlock,
        /// The same in words.
        reason: String,
    },
}

impl PhaseAction {
    /// A move for `reason`.
    fn moved(to: PhaseState, reason: impl Into<String>) -> Self {
        let verdict = PhaseVerdict::with_reason(reason);
        Self::Move { to, verdict }
    }

    /// Fails the spec because of `phase`, which ends planning.
    fn fail_spec(phase: Phase, reason: String) -> [Self; 2] {
        [
            Self::EndPlanning {
                failed_phase: Some(phase),
            },
            Self::MoveSpec {
                to: SpecStatus::Failed,
                reason: Some(reason),
            },
        ]
    }

    /// Has the spec wait because of `phase`, which ends planning.
    fn block_spec(phase: Phase, block: SpecBlock, reason: String) -> [Self; 2] {
        [
            Self::EndPlanning {
                failed_phase: Some(phase),
            },
            Self::BlockSpec { block, reason },
        ]
    }
}
