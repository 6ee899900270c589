//! Tasks with their attempts, receipts and logs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason};
use omoi_domain::block::TaskBlock;
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::egress::EgressDecision;
use omoi_domain::id::{AttemptId, TaskId};
use omoi_domain::merge::IntegrationState;
use omoi_domain::message::SteerType;
use omoi_domain::model_fallback::{FallbackClass, PassedModels};
use omoi_domain::sandbox::{SandboxRung, StartStep};
use omoi_domain::suite::report::SuiteReport;
use omoi_domain::task::{Priority, TaskStatus, TaskType, TicketPhase};

use super::guarded_cost::GuardedCost;
use super::money::UsdText;
use super::time::ApiTime;

/// A task. `GET /tasks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// Row id of the task.
    pub id: TaskId,
    /// Reference within its project, `TSK-n`.
    pub task_ref: String,
    /// `project/TSK-n`: what every command takes from anywhere.
    pub name: String,
    /// Reference of its ticket, `TKT-n`.
    pub ticket_ref: String,
    /// Reference of its spec, `SPEC-n`.
    pub spec_ref: String,
    /// `project/SPEC-n` of its spec.
    pub spec_name: String,
    /// Title shown to people.
    pub title: String,
    /// Kind of work the task is.
    pub task_type: TaskType,
    /// The phase of its ticket that it belongs to, such as `PHASE_IMPLEMENTATION`.
    pub phase: TicketPhase,
    /// How much the task matters.
    pub priority: Priority,
    /// Current stage of its life cycle.
    pub status: TaskStatus,
    /// Where its commits stand.
    pub integration_state: IntegrationState,
    /// Times it was sent back.
    pub round: u32,
    /// What it waits for: `TSK-n`.
    pub depends_on: Vec<String>,
    /// The task whose agent found it.
    pub found_by: Option<String>,
    /// Whether the spec cannot succeed without it.
    pub needed: bool,
    /// Branch that its attempts commit to.
    pub branch: String,
    /// Head commit of its branch, once there is one.
    pub head_sha: Option<String>,
    /// Ids of the requirements it serves.
    pub requirements: Vec<String>,
    /// What it waits for, when it is blocked.
    pub blocked_by: Option<TaskBlock>,
    /// What the last refusal said, or the last error.
    pub problem: Option<String>,
    /// What the agent says it did.
    pub summary: Option<String>,
}

/// A task with its attempts and receipts. `GET /tasks/{task_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskDetail {
    /// The task without its attempts.
    pub task: TaskView,
    /// What the agent is told.
    pub description: String,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
    /// Receipts of its checks, oldest first.
    pub receipts: Vec<ReceiptView>,
    /// Snapshot ref of the last attempt, if it has one.
    pub wip_ref: Option<String>,
}

/// An attempt at a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// Row id of the attempt.
    pub id: AttemptId,
    /// Counted per task, from 1.
    pub attempt_no: u32,
    /// Times the task had been sent back.
    pub round: u32,
    /// Role of the agent that made it.
    pub role: AgentRole,
    /// What took its turns; none for runs of the platform.
    #[serde(default)]
    pub agent: Option<AgentProgram>,
    /// The version of that program, once it has started.
    #[serde(default)]
    pub agent_version: Option<String>,
    /// Id of the program's own session, once it has one.
    #[serde(default)]
    pub agent_session: Option<String>,
    /// Current state of the attempt.
    pub state: AttemptState,
    /// Sandbox rung that it ran on.
    pub rung: Option<SandboxRung>,
    /// Read-only mounts beyond the system's.
    pub mounts: Vec<String>,
    /// How the start of its sandbox went, step by step.
    #[serde(default)]
    pub start_steps: Vec<StartStep>,
    /// Reason for its end; none while it runs.
    pub stop_reason: Option<AttemptStopReason>,
    /// Message of the error that ended it.
    pub error: Option<String>,
    /// Number of turns it took.
    pub turns: u32,
    /// When it was made.
    pub created_at: ApiTime,
    /// When it ended; none while it runs.
    pub ended_at: Option<ApiTime>,
    /// How far its sandbox reached outside, and why.
    #[serde(default)]
    pub egress: Option<EgressDecision>,
    /// Versions of packages that came into its sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// What its sandbox asked for from outside and did not get, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_outside: Vec<String>,
    /// For what it waits, and until when; none while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// What its models used, by model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<ModelUsageView>,
    /// Models that were passed over for the next of their list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<FallbackView>,
    /// Reports that came after its end, and changed nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late_reports: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What an attempt used of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelUsageView {
    /// The model.
    pub model: String,
    /// Calls made, retries included.
    pub calls: i64,
    /// Tokens read, those from the prompt cache included.
    pub tokens_read: i64,
    /// Tokens answered.
    pub tokens_answered: i64,
    /// The part of the tokens read that came from the prompt cache, 0 to 1.
    pub cache_share: f64,
    /// Why calls missed the prompt cache, and how often.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cache_misses: BTreeMap<String, i64>,
    /// Price; absent without `cost:read`.
    #[serde(default, skip_serializing_if = "GuardedCost::is_hidden")]
    #[schema(value_type = UsdText, required = false)]
    pub cost_usd: GuardedCost<UsdText>,
    /// Calls whose tokens are an estimate, because the provider did not tell them.
    #[serde(default, skip_serializing_if = "is_none_estimated")]
    pub estimated_calls: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_none_estimated(calls: &i64) -> bool {
    *calls == 0
}

/// How often an attempt's questions went from one model to another for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FallbackView {
    /// The model that was passed over.
    pub from_model: String,
    /// The one that was asked in its place.
    pub to_model: String,
    /// Why.
    pub class: FallbackClass,
    /// The same in words, as it was first said.
    pub message: String,
    /// How often.
    pub n: i64,
}

/// The record of one run of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptView {
    /// Command line of the check.
    pub command: String,
    /// What the check shows.
    pub kind: CheckKind,
    /// Why it was run.
    pub stage: CheckStage,
    /// The commit it was run on.
    pub commit: String,
    /// That commit's tree: equal trees are equal files, whatever their history.
    pub tree: String,
    /// Whether it exited 0.
    pub passed: bool,
    /// Its exit code; none when it was stopped.
    pub exit_code: Option<i32>,
    /// Sandbox rung that the check ran on.
    pub rung: SandboxRung,
    /// Each property of the sandbox, and why it did not hold; none when it did.
    #[serde(default)]
    pub held: Vec<(String, Option<String>)>,
    /// Host paths the sandbox could read.
    #[serde(default)]
    pub mounts: Vec<String>,
    /// What the workspace was made of, and why not of something faster.
    #[serde(default)]
    pub workspace: String,
    /// How its start went, step by step.
    #[serde(default)]
    pub start_steps: Vec<StartStep>,
    /// A test file it read was changed by the task it proves.
    pub self_tested: bool,
    /// Tracked files it read; none when the file system would not say.
    pub exercised: Option<Vec<String>>,
    /// What the suite's runner said of its tests; none for other checks. Without a count in it, a
    /// test that is gone would go unseen.
    #[serde(default)]
    pub tests: Option<SuiteReport>,
    /// Models whose answers the task's commits are made of.
    #[serde(default)]
    pub models: Vec<String>,
    /// Those whose provider did not tell all tokens, so that some are an estimate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub estimated_models: Vec<String>,
    /// Files of packages that came in for the task's agents and for the packages that the check was given.
    #[serde(default)]
    pub packages: Option<PackageListView>,
    /// Those that were passed over for them, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<PassedModels>,
    /// Head and tail of its output.
    pub output: String,
    /// Wall time in milliseconds.
    pub took_ms: i64,
    /// The task it was run for.
    pub task_ref: Option<String>,
}

/// Files of packages that came in, as a list that nobody can change unseen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PackageListView {
    /// How many.
    pub n_files: u64,
    /// SHA-256 of the lines `VERSION FILE sha256:DIGEST`, each ended, in order of their bytes.
    pub digest: String,
}

/// A message to a task's agent. `POST /tasks/{task_id}/messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "content": "Keep it brief.", "message_type": "user_message" }))]
#[serde(deny_unknown_fields)]
pub struct SteerTask {
    /// Words that the agent reads.
    pub content: String,
    /// Whether it is read as words or as an order to stop.
    pub message_type: SteerType,
}

/// `GET /tasks/{task_id}/log?after=&after_event=`: what happened to a task since then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskLog {
    /// Entries of the log, oldest first.
    pub lines: Vec<LogLine>,
    /// `after` of the next request.
    pub after: i64,
    /// `after_event` of the next request.
    pub after_event: i64,
}

/// Something an agent reported, or that became of its task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// The attempt; 0 before the first.
    pub attempt_no: u32,
    /// When the event was stored.
    pub at: ApiTime,
    /// Event type, of a worker's event or of the registry's.
    pub event_type: String,
    /// What it carries; of a receipt also the output, of an attempt's end also its error.
    pub data: Value,
}
