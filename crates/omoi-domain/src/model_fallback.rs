//! Why a question goes on to the next model of its list, and which models work is made of.

use serde::{Deserialize, Serialize};

/// Models whose answers the commits of a task are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkModels {
    /// Their names.
    pub models: Vec<String>,
    /// Those whose provider did not tell all tokens, so that some are an estimate.
    pub estimated: Vec<String>,
    /// Those that were passed over for them.
    pub fallbacks: Vec<PassedModels>,
}

/// How often turns went from one model to another for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PassedModels {
    /// The model that was passed over.
    pub from_model: String,
    /// The one that was asked in its place.
    pub to_model: String,
    /// Why.
    pub class: FallbackClass,
    /// How often.
    pub n: i64,
}

crate::closed_set! {
    /// Why a model is passed over while a question is asked.
    FallbackClass {
        /// It cannot be reached, or fails.
        Away = "away",
        /// Its provider asks for patience, or its window is used up.
        Limited = "limited",
        /// The question is larger than what it reads.
        WindowExceeded = "window_exceeded",
        /// Its provider refuses the question or the key, or serves it no more.
        Refused = "refused",
        /// It declines what it is asked to do.
        Declined = "declined",
        /// It writes calls of tools into its words, where nobody runs them.
        ToolsInWords = "tools_in_words",
        /// Its answers are not what was asked for.
        Unusable = "unusable",
        /// A budget has no room for what it may cost.
        OverBudget = "over_budget",
    }
}

impl FallbackClass {
    /// The class in words.
    pub const fn reason_words(self) -> &'static str {
        match self {
            Self::Away => "it is away",
            Self::Limited => "it is limited",
            Self::WindowExceeded => "its window is exceeded",
            Self::Refused => "it refuses",
            Self::Declined => "it declines the work",
            Self::ToolsInWords => "it calls tools in words",
            Self::Unusable => "its answers cannot be used",
            Self::OverBudget => "it is over budget",
        }
    }
}
