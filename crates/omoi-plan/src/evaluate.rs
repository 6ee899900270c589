//! Judges phase outputs by rules: a weighted score, blockers and warnings.
//!
//! `score = Σ weight · s` over the criteria of the phase; an output passes with a score of at least
//! [`PASS_THRESHOLD`] and no blocker. The evaluators accept any JSON whatever and never panic: what
//! does not fit the type of the phase is a blocker, and the rest is still scored for the feedback.

mod acceptance;
mod claims;
mod common;
mod design;
mod evaluation;
mod explore;
mod facts;
mod mermaid;
mod prd;
mod prose;
mod read;
mod requirements;
mod score_criteria;
mod sheet;
mod substance;
mod sync;
mod tasks;

use crate::evaluate::sheet::Sheet;
use serde_json::Value;

use omoi_domain::phase::Phase;

pub use evaluation::{Criterion, Evaluation, PASS_THRESHOLD, VERSION};
pub use facts::Facts;
pub use score_criteria::criteria;

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
