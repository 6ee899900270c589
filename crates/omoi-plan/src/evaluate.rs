//! Judges phase outputs by rules: a weighted score, blockers and warnings.
//!
//! `score = Σ weight · s` over the criteria of the phase; an output passes with a score of at least
//! [`PASS_THRESHOLD`] and no blocker. The evaluators accept any JSON whatever and never panic: what
//! does not fit the type of the phase is a blocker, and the rest is still scored for the feedback.

mod claims;
mod common;
mod criteria;
pub mod design;
pub mod explore;
mod mermaid;
pub mod prd;
mod prose;
mod read;
pub mod requirements;
mod sheet;
mod substance;
pub mod sync;
pub mod tasks;
mod text;

use crate::phase::Phase;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outputs::{DesignOutput, ExploreOutput, PrdOutput, RequirementsOutput, TasksOutput};
use super::repository::RepositoryFacts;
pub use common::empty_texts;
use sheet::Sheet;

/// Version of the rules; goes up whenever the same output could be judged differently.
pub const VERSION: u32 = 3;

/// The score from which an output passes.
pub const PASS_THRESHOLD: f64 = 0.70;

/// Something a rule found in an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name, such as `duplicate_id`.
    pub code: String,
    /// What is wrong and what would be right, for the model and for people.
    pub message: String,
    /// Where in the output.
    pub path: String,
}

/// A finding that stops the phase whatever its score.
pub type Blocker = Finding;

/// A finding that does not.
pub type Warning = Finding;

/// One row of a phase's table of criteria.
#[derive(Clone, Copy, Debug)]
pub struct Criterion {
    /// Stable name, the key in the details.
    pub name: &'static str,
    /// Its share of the score; a phase's weights sum to 1.
    pub weight: f64,
    /// The fields it reads; an element of a list is written `[]`.
    pub paths: &'static [&'static str],
    /// What full marks take, for prompts and feedback.
    pub asks: &'static str,
}

/// What code knows beside the output itself.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The repository at the spec's base commit.
    pub repo: Arc<RepositoryFacts>,
    /// What the person asked for, word for word.
    pub request: String,
    /// What the prompt of the phase says it must do.
    pub instructions: &'static str,
    /// Accepted output of the phase.
    pub explore: Option<ExploreOutput>,
    /// Accepted output of the phase.
    pub prd: Option<PrdOutput>,
    /// Accepted output of the phase.
    pub requirements: Option<RequirementsOutput>,
    /// Accepted output of the phase.
    pub design: Option<DesignOutput>,
    /// Accepted output of the phase.
    pub tasks: Option<TasksOutput>,
    /// How each check that was tried on the spec's base commit ended, by task id and index of the
    /// check: its exit code, none when its time limit or a signal ended it.
    pub base_exits: BTreeMap<(String, usize), Option<i32>>,
}

/// The verdict on an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Weighted sum, 0 to 1.
    pub score: f64,
    /// Whether the score suffices and nothing blocks.
    pub passed: bool,
    /// What to repair: blockers, then lost points, then warnings.
    pub feedback: String,
    /// Criterion to its mark, 0 to 1.
    pub details: BTreeMap<String, f64>,
    /// What stops the phase.
    pub blockers: Vec<Blocker>,
    /// What does not.
    pub warnings: Vec<Warning>,
    /// Which rules judged.
    #[serde(rename = "evaluator_version")]
    pub version: u32,
}

/// The criteria of `phase`, in the order they are listed to the model.
pub const fn criteria(phase: Phase) -> &'static [Criterion] {
    match phase {
        Phase::Explore => explore::CRITERIA,
        Phase::Prd => prd::CRITERIA,
        Phase::Requirements => requirements::CRITERIA,
        Phase::Design => design::CRITERIA,
        Phase::Tasks => tasks::CRITERIA,
        Phase::Sync => sync::CRITERIA,
        Phase::Complete => &[],
    }
}

/// Judges the normalised `output` of `phase`.
///
/// For sync this is the computed output, not the model's opinion. [`Phase::Complete`] has no
/// output; whatever is handed in for it is refused.
pub fn evaluate(phase: Phase, output: &Value, facts: &Facts) -> Evaluation {
    let mut sheet = Sheet::new(criteria(phase));
    common::check(phase, output, facts, &mut sheet);
    substance::check(phase, output, facts, &mut sheet);
    match phase {
        Phase::Explore => explore::judge(output, facts, &mut sheet),
        Phase::Prd => prd::judge(output, facts, &mut sheet),
        Phase::Requirements => requirements::judge(output, facts, &mut sheet),
        Phase::Design => design::judge(output, facts, &mut sheet),
        Phase::Tasks => tasks::judge(output, facts, &mut sheet),
        Phase::Sync => sync::judge(output, facts, &mut sheet),
        Phase::Complete => {}
    }
    sheet.finish()
}
