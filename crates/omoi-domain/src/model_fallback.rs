//! Why a question goes on to the next model of its list, and which models work is made of.

use serde::{Deserialize, Serialize};

/// Models whose answers the commits of a task are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkModels {
    /// Their names.
    pub models: Vec<String>,
    /// Those that were passed over for them.
    pub fallbacks: Vec<PassedModels>,
}

/// How often turns went from one model to another for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        /// It refuses the question or the key, or is served no more.
        Refused = "refused",
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
            Self::Unusable => "its answers cannot be used",
            Self::OverBudget => "it is over budget",
        }
    }
}
