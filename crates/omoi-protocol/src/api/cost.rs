//! What models cost.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use omoi_domain::attempt::AgentRole;
use omoi_domain::id::{AttemptId, CostId, SpecId};
use omoi_domain::model_route::RouteName;
use omoi_domain::principal::PurposeKind;
use omoi_domain::task::TaskType;

use super::money::UsdText;
use super::time::ApiTime;

/// One metered model call. `GET /costs/records`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostRecordView {
    /// Row id of the record.
    pub id: CostId,
    /// The spec that paid.
    pub spec_id: SpecId,
    /// The attempt that asked, if one did.
    pub agent_id: Option<AttemptId>,
    /// What the call was for.
    pub purpose: PurposeKind,
    /// The role that asked.
    pub role: AgentRole,
    /// The route that chose the model.
    pub route: RouteName,
    /// The model that answered.
    pub model: String,
    /// Whether the simulated model answered.
    pub simulated: bool,
    /// Tokens read beside the prompt cache.
    pub prompt_tokens: i64,
    /// Tokens answered.
    pub completion_tokens: i64,
    /// Tokens read from the prompt cache.
    pub cache_read_tokens: i64,
    /// Tokens written to it.
    pub cache_write_tokens: i64,
    /// All of them.
    pub total_tokens: i64,
    /// Price.
    pub total_cost: UsdText,
    /// Calls made, retries included.
    pub calls: i64,
    /// Milliseconds from asking to the last byte.
    pub latency_ms: i64,
    /// Whether some of its tokens are an estimate.
    pub estimated: bool,
    /// Whether nobody recorded the call, so that this is what it may have cost.
    pub unrecorded: bool,
    /// When the call ended.
    pub recorded_at: ApiTime,
}

omoi_domain::closed_set! {
    /// What costs are summed of.
    CostScope {
        /// All that the caller may see of the organisation.
        Organization = "organization",
        /// One project.
        Project = "project",
        /// One spec.
        Spec = "spec",
        /// One task, with its checks.
        Task = "task",
        /// One agent: an attempt.
        Agent = "agent",
    }
}

/// What something cost. `GET /costs/summary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostSummary {
    /// What is summed.
    pub scope_type: CostScope,
    /// Its row; none of an organisation.
    pub scope_id: Option<Uuid>,
    /// Price of all calls.
    pub total_cost: UsdText,
    /// Tokens of all calls, those of the prompt cache included.
    pub total_tokens: i64,
    /// How many records there are.
    pub record_count: i64,
    /// The same by model.
    pub breakdown: Vec<ModelCostView>,
}

/// What one model cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelCostView {
    /// The model.
    pub model: String,
    /// Whether it is the simulated one.
    pub simulated: bool,
    /// Price.
    pub cost: UsdText,
    /// Tokens, those of the prompt cache included.
    pub tokens: i64,
    /// How many records there are.
    pub records: i64,
}

/// Body of `POST /costs/forecast`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "task_count": 25, "model": "claude-sonnet-4-5" }))]
#[serde(deny_unknown_fields)]
pub struct ForecastCosts {
    /// How many tasks, 1 to 10,000.
    #[schema(minimum = 1, maximum = 10_000)]
    pub task_count: u32,
    /// The model that works on them; the one of this process without it.
    #[serde(default)]
    pub model: Option<String>,
    /// Their kind; any without it.
    #[serde(default)]
    pub task_type: Option<TaskType>,
    /// Tokens of one task; what the newest 50 of the kind took of the model without it, the middle one of them, or 5,000
    /// where there was none.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000_000_i64)]
    pub avg_tokens_per_task: Option<u64>,
}

/// What tasks will probably cost. Answer of `POST /costs/forecast`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostForecastView {
    /// How many tasks.
    pub task_count: u32,
    /// The model.
    pub model: String,
    /// Whether nobody knows the price of the model: it is taken to cost as much as its provider's dearest.
    pub is_price_assumed: bool,
    /// Price of all tasks, with a reserve.
    pub estimated_cost: UsdText,
    /// Tokens of all tasks, without it.
    pub estimated_tokens: u64,
    /// Tokens of one task.
    pub avg_tokens_per_task: u64,
    /// How much more than that the price has for reserve.
    pub buffer_multiplier: f64,
}
