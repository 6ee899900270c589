//! How the work on a spec ends: proven and handed over, stopped with the reason, or sent back.

mod as_it_stands;
mod found_secrets;
mod hand_over;
mod head;
mod open_work;
mod prove;
mod stop;
mod weak_proof;

pub use as_it_stands::{StandingHead, judge_as_it_stands};
pub use found_secrets::{BranchSearch, judge_found_secrets};
pub use hand_over::{HandOverPlan, PlannedHandOver, conclude_hand_over, plan_hand_over};
pub use head::{CHECKED_NOTE, HeadResult, HeadVerdict, RedTask, judge_head};
pub use open_work::{OpenMerge, OpenTask, OpenWork, WorkStanding, judge_open_work};
pub use prove::{PROOF_TRIES_MAX, ProofStart, start_proof};
pub use stop::stop_spec;
pub use weak_proof::{AblatedCriterion, ablation_note, refuse_weak_proofs};

use crate::block::SpecBlock;

/// Why a spec is not worked on any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecStop {
    /// What it waits for; none when it failed.
    pub block: Option<SpecBlock>,
    /// The same in words.
    pub reason: String,
}

impl SpecStop {
    /// A spec that failed.
    pub(crate) fn fail(reason: impl Into<String>) -> Self {
        Self {
            block: None,
            reason: reason.into(),
        }
    }

    /// A spec that waits for `block`.
    pub(crate) fn wait_for(block: SpecBlock, reason: impl Into<String>) -> Self {
        Self {
            block: Some(block),
            reason: reason.into(),
        }
    }

    /// A spec whose machine lacks something: no agent can mend that, so no task goes back for a round.
    fn lacks(fault: &str) -> Self {
        let block = SpecBlock::Environment;
        Self::wait_for(block, format!("{block}: at the head {fault}"))
    }
}
