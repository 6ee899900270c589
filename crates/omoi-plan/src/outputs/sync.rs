//! Output of the sync phase: computed traceability and readiness, with the model's opinion beside.
//!
//! Code computes [`SyncOutput`]; the model is asked only for [`SyncOpinion`], and each place where
//! its opinion contradicts a computed value is recorded in `contradictions`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use omoi_domain::phase::Phase;

/// What the model may say in the sync phase; the sections of that phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncOpinion {
    /// One judgement per requirement worth a remark; may be empty.
    pub coverage: Vec<CoverageOpinion>,
    /// Naming gaps and other doubts.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What a person should look at before execution.
    pub recommendations: Vec<String>,
    /// How long it will take, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_duration: Option<String>,
}

/// The model's judgement of one requirement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CoverageOpinion {
    /// The requirement.
    pub requirement_id: String,
    /// How well its tasks cover what it means.
    pub status: CoverageStatus,
    /// Why.
    pub notes: String,
}

/// The traceability verdict, computed by code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncOutput {
    /// Did each check hold.
    pub validation_results: ValidationResults,
    /// One row per requirement.
    pub coverage_matrix: Vec<CoverageRow>,
    /// Counts.
    pub traceability_stats: TraceabilityStats,
    /// Order of work.
    pub dependency_analysis: DependencyAnalysis,
    /// The plan in figures.
    pub spec_summary: SpecSummary,
    /// Whether execution may start.
    pub ready_for_execution: bool,
    /// What stops it, each with the phase at fault.
    pub blockers: Vec<SyncBlocker>,
    /// The model's advice.
    pub recommendations: Vec<String>,
    /// Where the model's opinion differs from the computed value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contradictions: Vec<OpinionContradiction>,
}

/// Did each check hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidationResults {
    /// No requirement is without a task.
    pub all_requirements_covered: bool,
    /// No component is without a task.
    #[serde(alias = "all_components_have_tasks")]
    pub all_design_components_have_tasks: bool,
    /// Nothing depends on something unknown or later.
    pub dependency_order_valid: bool,
    /// The combined graph has no cycle.
    pub no_circular_dependencies: bool,
    /// Every id has its canonical form and is unique.
    pub all_ids_valid: bool,
    /// What failed.
    pub issues_found: Vec<String>,
    /// What is doubtful.
    pub warnings: Vec<String>,
}

omoi_domain::closed_set! {
    /// How well a requirement is covered.
    #[derive(JsonSchema)]
    CoverageStatus {
        /// A building task and a proof.
        Fully = "fully_covered",
        /// Linked, but not both.
        Partially = "partially_covered",
        /// No task addresses it.
        Not = "not_covered",
    }
}

/// Coverage of one requirement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CoverageRow {
    /// The requirement.
    pub requirement_id: String,
    /// Its title.
    pub requirement_title: String,
    /// Tasks that address it.
    pub covered_by_tasks: Vec<String>,
    /// Tickets that name it.
    pub covered_by_tickets: Vec<String>,
    /// How well it is covered.
    pub status: CoverageStatus,
    /// The model's remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage_notes: Option<String>,
}

/// Counts over the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceabilityStats {
    /// Requirements by coverage.
    pub requirements: RequirementStats,
    /// Tickets.
    pub tickets: TicketStats,
    /// Tasks.
    pub tasks: TaskStats,
    /// Edges.
    pub dependencies: DependencyStats,
    /// Things nothing points to.
    pub orphans: PlanOrphans,
}

/// Requirements by coverage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequirementStats {
    /// All.
    pub total: usize,
    /// With a building task and a proof.
    pub fully_covered: usize,
    /// Linked, but not fully.
    pub partially_covered: usize,
    /// Not linked.
    pub not_covered: usize,
    /// With at least one task.
    pub linked: usize,
    /// (fully + ½ partially) / total × 100; 0 without requirements.
    pub coverage_percent: f64,
}

/// Tickets by links.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketStats {
    /// All.
    pub total: usize,
    /// That name a requirement.
    pub with_requirements: usize,
    /// Without tasks.
    pub orphans: usize,
}

/// Tasks by links and kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskStats {
    /// All.
    pub total: usize,
    /// Whose parent exists.
    pub with_parent_ticket: usize,
    /// That address a requirement.
    pub with_requirements: usize,
    /// Without parent.
    pub orphans: usize,
    /// Count by status.
    pub by_status: BTreeMap<String, usize>,
    /// Count by type.
    pub by_type: BTreeMap<String, usize>,
}

/// Edges of the combined graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependencyStats {
    /// All.
    pub total_edges: usize,
    /// Cycles found.
    pub circular_detected: usize,
    /// References to nothing.
    pub invalid_references: usize,
}

/// Things nothing points to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanOrphans {
    /// Requirements without a task.
    pub requirements: Vec<String>,
    /// Components without a task.
    pub designs: Vec<String>,
    /// Tickets without a task.
    pub tickets: Vec<String>,
}

/// Order of work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependencyAnalysis {
    /// Task to the tasks it waits for, ticket edges lifted.
    pub task_dependency_graph: BTreeMap<String, Vec<String>>,
    /// Ticket to the tickets it waits for.
    pub ticket_dependency_graph: BTreeMap<String, Vec<String>>,
    /// Longest chain of task ids by hours.
    pub critical_path: Vec<String>,
    /// Hours of that chain.
    pub critical_path_hours: f64,
    /// Tasks that may run at once, level by level.
    pub parallel_groups: Vec<Vec<String>>,
}

/// The plan in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecSummary {
    /// Name of the feature.
    pub feature_name: String,
    /// Requirements.
    pub total_requirements: usize,
    /// Tickets.
    pub total_tickets: usize,
    /// Tasks.
    pub total_tasks: usize,
    /// Sum of the task hours.
    pub total_estimated_hours: f64,
    /// Distinct new files.
    pub files_to_create: usize,
    /// Distinct changed files.
    pub files_to_modify: usize,
    /// Same as in the statistics.
    pub requirement_coverage_percent: f64,
    /// The model's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_duration: Option<String>,
}

/// Something that stops execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncBlocker {
    /// Stable name, such as `requirement_not_covered`.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
    /// The phase to go back to.
    pub phase: Phase,
    /// The id or path at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// The model's opinion against a computed value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpinionContradiction {
    /// What was judged, usually a requirement id.
    pub subject: String,
    /// What code computed.
    pub computed: String,
    /// What the model said.
    pub opinion: String,
}
