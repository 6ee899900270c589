//! Discoveries: work that an agent found on its way.

use crate::task::TaskType;

crate::closed_set! {
    /// The kind of work an agent found.
    DiscoveryType {
        /// Something that does not work.
        Bug = "bug",
        /// Something that could be cheaper.
        Optimization = "optimization",
        /// A question that only a person can answer.
        ClarificationNeeded = "clarification_needed",
        /// A part that the plan does not have.
        NewComponent = "new_component",
        /// A hole in the security.
        SecurityIssue = "security_issue",
        /// Something that is too slow.
        PerformanceIssue = "performance_issue",
        /// Behaviour that no requirement names.
        MissingRequirement = "missing_requirement",
        /// Parts that do not fit together.
        IntegrationIssue = "integration_issue",
        /// Code that will cost more later.
        TechnicalDebt = "technical_debt",
    }
}

impl DiscoveryType {
    /// The kind of task that carries the work.
    pub const fn task_type(self) -> TaskType {
        match self {
            Self::Bug => TaskType::FixBug,
            Self::Optimization
            | Self::ClarificationNeeded
            | Self::NewComponent
            | Self::SecurityIssue
            | Self::PerformanceIssue
            | Self::MissingRequirement
            | Self::IntegrationIssue
            | Self::TechnicalDebt => TaskType::ImplementFeature,
        }
    }
}
