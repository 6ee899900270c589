//! What an evaluation is: the criteria it marks, and the verdict.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::finding::RuleFinding;

/// Version of the rules; goes up whenever the same output could be judged differently.
pub const EVALUATOR_VERSION: u32 = 3;

/// The score from which an output passes.
pub const PASS_THRESHOLD: f64 = 0.70;

/// One row of a phase's table of criteria.
#[derive(Clone, Copy, Debug)]
pub struct ScoreCriterion {
    /// Stable name, the key in the details.
    pub name: &'static str,
    /// Its share of the score; a phase's weights sum to 1.
    pub weight: f64,
    /// The fields it reads; an element of a list is written `[]`.
    pub paths: &'static [&'static str],
    /// What full marks take, for prompts and feedback.
    pub asks: &'static str,
}

/// The verdict on an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseEvaluation {
    /// Weighted sum, 0 to 1.
    pub score: f64,
    /// Whether the score suffices and nothing blocks.
    pub passed: bool,
    /// What to repair: blockers, then lost points, then warnings.
    pub feedback: String,
    /// Criterion to its mark, 0 to 1.
    pub details: BTreeMap<String, f64>,
    /// What stops the phase.
    pub blockers: Vec<RuleFinding>,
    /// What does not.
    pub warnings: Vec<RuleFinding>,
    /// Which rules judged.
    #[serde(rename = "evaluator_version")]
    pub version: u32,
}
