//! How far the work on a spec has come.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::access::cost_sight::CostSight;
use omoi_domain::block::SpecBlock;
use omoi_domain::model_kind::ModelKind;
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;

use super::guarded_cost::GuardedCost;
use super::money::UsdText;
use crate::summary::{
    ConflictCounts, CriterionCounts, PhaseSummary, PurposeCost, ReceiptCounts, RunOutcome,
    RunSummary, SuiteSummary, TaskCounts,
};

/// `GET /specs/{spec_id}/execution-status`: how far the work has come, with what it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExecutionStatus {
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
    pub suite: Option<SuiteSummary>,
    /// Files of the branch that no task of the plan names.
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
    /// Money spent; absent without `cost:read`.
    #[serde(default, skip_serializing_if = "GuardedCost::is_hidden")]
    #[schema(value_type = UsdText, required = false)]
    pub cost_usd: GuardedCost<UsdText>,
    /// What it was spent for.
    pub cost_by_purpose: BTreeMap<PurposeKind, PurposeSpendView>,
    /// Tokens in and out.
    pub tokens: i64,
    /// Milliseconds from start to end.
    pub wall_ms: i64,
    /// Milliseconds models took, added up.
    pub model_ms: i64,
    /// Optional work that failed, and other things worth saying.
    pub notes: Vec<String>,
}

/// What model calls for one purpose came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PurposeSpendView {
    /// Calls made, retries included.
    pub calls: i64,
    /// Tokens in and out.
    pub tokens: i64,
    /// Money spent; absent without `cost:read`.
    #[serde(default, skip_serializing_if = "GuardedCost::is_hidden")]
    #[schema(value_type = UsdText, required = false)]
    pub cost_usd: GuardedCost<UsdText>,
    /// How much of it is an estimate: nobody recorded the call. Absent without `cost:read`.
    #[serde(default, skip_serializing_if = "GuardedCost::is_hidden")]
    #[schema(value_type = UsdText, required = false)]
    pub estimated_usd: GuardedCost<UsdText>,
}

impl PurposeSpendView {
    fn seen_by(sight: CostSight, cost: PurposeCost) -> Self {
        Self {
            calls: cost.calls,
            tokens: cost.tokens,
            cost_usd: GuardedCost::seen_by(sight, cost.cost_nanousd),
            estimated_usd: GuardedCost::seen_by(sight, cost.estimated_nanousd),
        }
    }

    /// The same as a run's last line has it; none where its amounts are hidden.
    fn purpose_cost(self) -> Option<PurposeCost> {
        Some(PurposeCost {
            calls: self.calls,
            tokens: self.tokens,
            cost_nanousd: self.cost_usd.told_amount()?.to_nanos(),
            estimated_nanousd: self.estimated_usd.told_amount()?.to_nanos(),
        })
    }
}

impl ExecutionStatus {
    /// How far the work of `summary` has come, for a caller who is told of costs what `sight` says.
    pub fn seen_by(sight: CostSight, summary: RunSummary) -> Self {
        let seen = |cost| PurposeSpendView::seen_by(sight, cost);
        let by_purpose = summary.cost_by_purpose.into_iter();
        Self {
            outcome: summary.outcome,
            blocked_by: summary.blocked_by,
            reason: summary.reason,
            model: summary.model,
            model_kind: summary.model_kind,
            spec_id: summary.spec_id,
            spec_ref: summary.spec_ref,
            spec_name: summary.spec_name,
            tickets: summary.tickets,
            tasks: summary.tasks,
            max_parallel: summary.max_parallel,
            phases: summary.phases,
            suite: summary.suite,
            outside_plan: summary.outside_plan,
            discoveries: summary.discoveries,
            conflicts: summary.conflicts,
            receipts: summary.receipts,
            criteria: summary.criteria,
            repo: summary.repo,
            branch: summary.branch,
            head: summary.head,
            tokens: summary.tokens,
            wall_ms: summary.wall_ms,
            model_ms: summary.model_ms,
            notes: summary.notes,
            cost_usd: GuardedCost::seen_by(sight, summary.cost_nanousd.unwrap_or_default()),
            cost_by_purpose: by_purpose.map(|(of, cost)| (of, seen(cost))).collect(),
        }
    }
}

impl From<ExecutionStatus> for RunSummary {
    fn from(status: ExecutionStatus) -> Self {
        let by_purpose = status.cost_by_purpose.into_iter();
        Self {
            r#type: Self::TYPE.to_owned(),
            outcome: status.outcome,
            blocked_by: status.blocked_by,
            reason: status.reason,
            model: status.model,
            model_kind: status.model_kind,
            spec_id: status.spec_id,
            spec_ref: status.spec_ref,
            spec_name: status.spec_name,
            tickets: status.tickets,
            tasks: status.tasks,
            max_parallel: status.max_parallel,
            phases: status.phases,
            suite: status.suite,
            outside_plan: status.outside_plan,
            discoveries: status.discoveries,
            conflicts: status.conflicts,
            receipts: status.receipts,
            criteria: status.criteria,
            repo: status.repo,
            branch: status.branch,
            head: status.head,
            tokens: status.tokens,
            wall_ms: status.wall_ms,
            model_ms: status.model_ms,
            notes: status.notes,
            cost_nanousd: status.cost_usd.told_amount().map(UsdText::to_nanos),
            cost_by_purpose: by_purpose
                .filter_map(|(of, spend)| Some((of, spend.purpose_cost()?)))
                .collect(),
        }
    }
}
