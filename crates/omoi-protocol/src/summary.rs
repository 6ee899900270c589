//! The last line of a run, for scripts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::block::SpecBlock;
use omoi_domain::model_kind::ModelKind;
use omoi_domain::money::NanoUsd;
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;
use omoi_domain::suite::report::SuiteReport;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every criterion proven at `head`, the suite green, the branch handed over. Exit 0.
    Succeeded,
    /// A phase or a needed task failed for good. Exit 1.
    Failed,
    /// Waits for a change or a person. Exit 3.
    Blocked,
}

/// Number of tasks by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskCounts {
    /// Checks passed and merged.
    pub completed: u32,
    /// Failed with no retry left.
    pub failed: u32,
    /// Cancelled by a person or a rule.
    pub cancelled: u32,
}

/// Attempts at one phase and their last score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhaseSummary {
    /// Attempts that count against the limit.
    pub attempts: u32,
    /// The evaluator's last score.
    pub score: Option<f64>,
}

/// Number of merge conflicts by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConflictCounts {
    /// Number of merges that conflicted.
    pub found: u32,
    /// Of those, the merges that landed.
    pub resolved: u32,
}

/// Number of receipts by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptCounts {
    /// Receipts with exit code 0.
    pub passed: u32,
    /// Receipts with any other result.
    pub failed: u32,
}

/// Number of acceptance criteria by proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CriterionCounts {
    /// With a passing receipt at `head`.
    pub proven: u32,
    /// All criteria of the spec.
    pub total: u32,
    /// Of the proven, those proven only by checks whose tests the proving task changed itself.
    pub self_tested: u32,
    /// Of the proven, those whose checks pass without the commits of their tasks too.
    pub weak: u32,
    /// Of the proven, those whose tasks' commits could not be taken back to find that out.
    pub unknown: u32,
    /// Of the proven, those that were not tried because the time for it was spent.
    pub not_tried: u32,
}

/// The project's suite, and how it ended on the base commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SuiteSummary {
    /// Command line that runs the suite.
    pub command: String,
    /// Whether it exited 0 there; none before it was run.
    pub base_passed: Option<bool>,
    /// Its exit code there; none when it was stopped or not run.
    pub base_exit: Option<i32>,
    /// What its runner said there.
    pub base_tests: Option<SuiteReport>,
    /// The end of what it printed there, when it failed.
    pub base_output: Option<String>,
    /// Whether the failures there are accepted, so that new ones count only.
    pub accept_red: bool,
    /// Whether they could be: their names can be read.
    pub acceptable: bool,
}

/// What model calls for one purpose came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurposeCost {
    /// Calls made, retries included.
    pub calls: i64,
    /// Tokens in and out.
    pub tokens: i64,
    /// Billionths of a dollar spent.
    pub cost_nanousd: NanoUsd,
    /// How much of it is an estimate: nobody recorded the call.
    pub estimated_nanousd: NanoUsd,
}

/// The last line of `omoi run --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Always [`RunSummary::TYPE`], to tell it from events.
    pub r#type: String,
    /// How the run ended.
    pub outcome: RunOutcome,
    /// What it waits for, when it is blocked.
    pub blocked_by: Option<SpecBlock>,
    /// Why, when it did not succeed.
    pub reason: Option<String>,
    /// `simulated`, or the model's name.
    pub model: String,
    /// The kind of that model.
    pub model_kind: ModelKind,
    /// Row id of the spec.
    pub spec_id: String,
    /// Reference of the spec, `SPEC-n`.
    pub spec_ref: String,
    /// `project/SPEC-n`: what every command takes from anywhere.
    pub spec_name: String,
    /// Number of tickets planned.
    pub tickets: u32,
    /// Number of tasks by how they ended.
    pub tasks: TaskCounts,
    /// Most task attempts at work at one instant.
    pub max_parallel: u32,
    /// Attempts and last score of each phase.
    pub phases: BTreeMap<Phase, PhaseSummary>,
    /// The project's suite on the base commit.
    #[serde(default)]
    pub suite: Option<SuiteSummary>,
    /// Files of the branch that no task of the plan names.
    #[serde(default)]
    pub outside_plan: Vec<String>,
    /// Discoveries that became tasks.
    pub discoveries: u32,
    /// Number of merge conflicts by how they ended.
    pub conflicts: ConflictCounts,
    /// Number of receipts by result.
    pub receipts: ReceiptCounts,
    /// Number of acceptance criteria by proof.
    pub criteria: CriterionCounts,
    /// Path of the user's repository.
    pub repo: String,
    /// The branch handed over, or the one that would be.
    pub branch: String,
    /// Commit that the branch points at.
    pub head: Option<String>,
    /// Billionths of a dollar spent; none where the server does not tell costs to whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanousd: Option<NanoUsd>,
    /// What it was spent for; empty likewise.
    #[serde(default)]
    pub cost_by_purpose: BTreeMap<PurposeKind, PurposeCost>,
    /// Tokens in and out.
    pub tokens: i64,
    /// Milliseconds from start to end.
    pub wall_ms: i64,
    /// Milliseconds models took, added up.
    pub model_ms: i64,
    /// Optional work that failed, and other things worth saying.
    pub notes: Vec<String>,
}

impl RunSummary {
    /// What tells the line from events.
    pub const TYPE: &'static str = "summary";
}
