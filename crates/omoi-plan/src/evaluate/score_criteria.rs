//! The criteria of every phase.

use omoi_domain::phase::Phase;

use super::evaluation::ScoreCriterion;
use super::{design, explore, prd, requirements, sync, tasks};

/// The criteria of `phase`, in the order they are listed to the model.
pub const fn score_criteria(phase: Phase) -> &'static [ScoreCriterion] {
    match phase {
        Phase::Explore => explore::CRITERIA,
        Phase::Prd => prd::CRITERIA,
        Phase::Requirements => requirements::CRITERIA,
        Phase::Design => design::CRITERIA,
        Phase::Tasks => tasks::CRITERIA,
        Phase::Sync => sync::CRITERIA,
        Phase::Complete | Phase::TicketRequirements | Phase::TicketDesign => &[],
    }
}
