//! Discoveries: work that an agent found on its way.

use crate::task::TaskType;

/// Begins the plan-local name of a task that an agent reported.
pub const FOUND_WORK_PREFIX: &str = "DIS-";

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

/// Most work that discoveries may add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscoveryCaps {
    /// Discoveries in a row that may lead to a task.
    pub depth: u32,
    /// Discoveries of one task that become tasks.
    pub per_task: u32,
    /// Discoveries of one spec that become tasks.
    pub per_spec: u32,
}

/// What discoveries have added before another one.
#[derive(Clone, Copy, Debug)]
pub struct DiscoveredWork {
    /// Discoveries in a row that led to the task that reports.
    pub depth: u32,
    /// Tasks that came of that task's reports.
    pub of_task: u32,
    /// Tasks that came of reports in its spec.
    pub of_spec: u32,
}

/// The cap that another task would break, in words; none when it may be made.
pub fn broken_cap(added: DiscoveredWork, caps: DiscoveryCaps) -> Option<String> {
    if added.depth >= caps.depth {
        let depth = caps.depth;
        return Some(format!("depth cap: {depth} discoveries in a row led here"));
    }
    if added.of_task >= caps.per_task {
        let n_tasks = added.of_task;
        return Some(format!("count cap: this task reported {n_tasks} already"));
    }
    if added.of_spec >= caps.per_spec {
        let n_tasks = added.of_spec;
        return Some(format!("count cap: this spec has {n_tasks} already"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_broken_cap_is_named() {
        let caps = DiscoveryCaps {
            depth: 2,
            per_task: 3,
            per_spec: 5,
        };
        for (depth, of_task, of_spec, expected) in [
            (0, 0, 0, None),
            (1, 2, 4, None),
            (2, 0, 0, Some("depth cap: 2 discoveries in a row led here")),
            (0, 3, 3, Some("count cap: this task reported 3 already")),
            (0, 0, 5, Some("count cap: this spec has 5 already")),
            (2, 3, 5, Some("depth cap: 2 discoveries in a row led here")),
        ] {
            let added = DiscoveredWork {
                depth,
                of_task,
                of_spec,
            };
            assert_eq!(broken_cap(added, caps).as_deref(), expected, "{added:?}");
        }
    }
}
