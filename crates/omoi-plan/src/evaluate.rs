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

use serde_json::Value;

use omoi_domain::phase::Phase;

use crate::evaluate::sheet::MarkSheet;

pub use evaluation::{EVALUATOR_VERSION, PASS_THRESHOLD, PhaseEvaluation, ScoreCriterion};
pub use facts::EvaluationFacts;
pub use score_criteria::score_criteria;

/// Judges the normalised `output` of `phase`.
///
/// For sync this is the computed output, not the model's opinion. [`Phase::Complete`] has no
/// output; whatever is submitted for it is refused.
pub fn evaluate_output(phase: Phase, output: &Value, facts: &EvaluationFacts) -> PhaseEvaluation {
    let mut sheet = MarkSheet::new(score_criteria(phase));
    common::check_common(phase, output, facts, &mut sheet);
    substance::check_substance(phase, output, facts, &mut sheet);
    match phase {
        Phase::Explore => explore::judge_explore(output, facts, &mut sheet),
        Phase::Prd => prd::judge_prd(output, facts, &mut sheet),
        Phase::Requirements => requirements::judge_requirements(output, facts, &mut sheet),
        Phase::Design => design::judge_design(output, facts, &mut sheet),
        Phase::Tasks => tasks::judge_tasks(output, facts, &mut sheet),
        Phase::Sync => sync::judge_sync(output, facts, &mut sheet),
        // What a ticket's document has to be, the gate of its project says.
        Phase::Complete | Phase::TicketRequirements | Phase::TicketDesign => {}
    }
    sheet.into_evaluation()
}
