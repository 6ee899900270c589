//! Agents and their sandboxes: attempts, live and past.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason, TurnKind};
use omoi_domain::id::{AttemptId, MessageId, ProjectId, SpecId, TaskId};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::phase::Phase;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::spec::PhaseState;

use super::time::ApiTime;

/// An agent: one attempt. `GET /agents`, `GET /agents/{agent_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentView {
    /// Row id of the attempt.
    pub agent_id: AttemptId,
    /// Role of the agent.
    pub agent_type: AgentRole,
    /// What takes its turns; none for runs of the platform.
    pub program: Option<AgentProgram>,
    /// The version of that program, once it has started.
    pub program_version: Option<String>,
    /// Where it stands.
    pub status: AttemptState,
    /// The project.
    pub project_id: ProjectId,
    /// The spec.
    pub spec_id: SpecId,
    /// The task it works on, if it works on one.
    pub task: Option<AgentTaskView>,
    /// The phase it plans, if it plans one.
    pub phase: Option<Phase>,
    /// Counted per task or phase, from 1.
    pub attempt_no: u32,
    /// Sandbox rung that it runs on, once it has a sandbox.
    pub rung: Option<SandboxRung>,
    /// When it was made.
    pub created_at: ApiTime,
    /// When its worker first reported.
    pub started_at: Option<ApiTime>,
    /// When it ended.
    pub ended_at: Option<ApiTime>,
    /// Why it ended.
    pub stop_reason: Option<AttemptStopReason>,
    /// Its error.
    pub error: Option<String>,
    /// The conversation that its program says it has.
    #[serde(default)]
    pub conversation_id: Option<String>,
    /// Words that people find it by.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// The task of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentTaskView {
    /// Row id of the task.
    pub id: TaskId,
    /// Reference within its project, `TSK-n`.
    pub task_ref: String,
    /// Title shown to people.
    pub title: String,
}

/// How an agent does. `GET /agents/{agent_id}/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentHealth {
    /// Row id of the attempt.
    pub agent_id: AttemptId,
    /// Where it stands.
    pub status: AttemptState,
    /// Whether it is not over.
    pub is_live: bool,
    /// When its worker last gave a sign of life.
    pub last_heartbeat_at: Option<ApiTime>,
    /// Seconds since then, while it is live.
    pub silent_seconds: Option<i64>,
    /// When its worker last did something.
    pub last_work_at: Option<ApiTime>,
    /// Seconds since then, while it is live.
    pub idle_seconds: Option<i64>,
    /// Whether a model call of it is under way.
    pub is_asking: bool,
}

/// How many agents there are and were. `GET /agents/statistics`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentStatistics {
    /// Agents that are not over.
    pub n_live: i64,
    /// All of them by role.
    pub by_type: BTreeMap<String, i64>,
    /// All of them by where they stand.
    pub by_status: BTreeMap<String, i64>,
}

/// How the sandboxes do. `GET /sandboxes/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SandboxesHealth {
    /// Sandbox rung of the process that answers; none where it runs no sandboxes.
    pub rung: Option<String>,
    /// Attempts of the organisation that are not over.
    pub n_live: u64,
    /// Those of them that have not had a sign of life yet.
    pub n_starting: u64,
}

/// What an agent reported. `GET /sandboxes/{sandbox_id}/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SandboxEventView {
    /// Position among the events of the sandbox, from 1.
    pub seq: i64,
    /// Type of the event, such as `agent.tool_use`.
    pub event_type: String,
    /// What it carries.
    pub event_data: Value,
    /// When it arrived.
    pub created_at: ApiTime,
}

/// A turn of an agent. `GET /sandboxes/{sandbox_id}/trajectory`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnView {
    /// Position, from 0.
    pub n: u32,
    /// What it is.
    pub kind: TurnKind,
    /// The model's message.
    pub response: Value,
    /// What the tools answered.
    pub tool_results: Value,
    /// When it was committed.
    pub created_at: ApiTime,
}

/// The phase that a sandbox plans. `GET /sandboxes/{sandbox_id}/phase-status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SandboxPhase {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The phase.
    pub phase: Phase,
    /// Current state of the phase.
    pub state: PhaseState,
    /// Attempts at it that counted.
    pub attempts: u32,
    /// The evaluator's last score.
    pub score: Option<f64>,
}

/// A message that waits for an agent. `GET /sandboxes/{sandbox_id}/messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingMessage {
    /// Row id of the message.
    pub id: MessageId,
    /// Whether it is read as words or as an order to stop.
    pub message_type: MessageType,
    /// Words that the agent reads.
    pub content: String,
    /// Who sent it.
    pub sender: MessageSender,
    /// When it was sent.
    pub created_at: ApiTime,
}
