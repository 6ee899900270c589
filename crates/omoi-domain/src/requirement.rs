//! Requirements: what a spec promises.

use schemars::JsonSchema;

crate::closed_set! {
    /// What a requirement is about; the middle part of its id.
    #[derive(JsonSchema)]
    RequirementType {
        /// What the product does (`FUNC`).
        Functional = "functional",
        /// Speed and size (`PERF`).
        Performance = "performance",
        /// Safety of data and access (`SEC`).
        Security = "security",
        /// Ease of use (`USE`).
        Usability = "usability",
        /// Keeping on working (`REL`).
        Reliability = "reliability",
        /// A limit from outside (`CON`).
        Constraint = "constraint",
    }
}

impl RequirementType {
    /// The category code inside a requirement id.
    pub const fn category_code(self) -> &'static str {
        match self {
            Self::Functional => "FUNC",
            Self::Performance => "PERF",
            Self::Security => "SEC",
            Self::Usability => "USE",
            Self::Reliability => "REL",
            Self::Constraint => "CON",
        }
    }
}
