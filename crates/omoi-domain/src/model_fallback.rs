//! Why a question goes on to the next model of its list.

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
