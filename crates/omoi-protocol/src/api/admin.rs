//! What those who run a deployment look at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::id::{OrgId, TicketId};
use omoi_domain::task::TicketPhase;
use omoi_domain::workflow::{ArtifactType, PhaseId, PhaseSeed};

use super::process::LoopStatus;
use super::task::TaskView;
use super::ticket::GateResultView;
use super::time::ApiTime;

/// Tasks of the whole deployment in figures. `GET /admin/tasks/stats`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentTaskStats {
    /// Organisations that there are.
    pub n_organizations: u64,
    /// Tasks of all of them.
    pub total: u64,
    /// How many there are of each status that occurs.
    pub by_status: BTreeMap<String, u64>,
}

/// A task with how it stands in the queue. `GET /admin/tasks/pending`, `GET /admin/tasks/running/{organization_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueuedTaskView {
    /// The task.
    pub task: TaskView,
    /// Its score at the last look of a dispatcher.
    pub score: f64,
    /// When it entered the queue.
    pub queued_at: ApiTime,
    /// For how long, in seconds.
    pub waiting_seconds: i64,
    /// Before when it is not tried again.
    pub not_before: ApiTime,
    /// Times it was tried again after an error.
    pub retry_count: u32,
    /// When its agent last began.
    pub started_at: Option<ApiTime>,
}

/// Agents of an organisation against its limit. `GET /admin/agents/{organization_id}/stats`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationAgentStats {
    /// The organisation.
    pub organization_id: OrgId,
    /// Most tasks at work at once; none where the deployment's limit alone holds.
    pub max_concurrent_agents: Option<i64>,
    /// Attempts that are not over.
    pub n_live: i64,
    /// Attempts that are not over, by role.
    pub live_by_type: BTreeMap<String, i64>,
    /// All attempts, by where they stand.
    pub by_status: BTreeMap<String, i64>,
}

/// The gate of a ticket's phase. `GET /admin/tickets/{ticket_id}/phase-gate-status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhaseGateStatus {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// The phase that it is in.
    pub phase_id: PhaseId,
    /// The phase that usually follows.
    pub next_phase: Option<PhaseId>,
    /// What the phase has to show.
    pub gates: Vec<GateView>,
    /// What gates said of the ticket, newest first; nothing where nobody tried to leave a phase.
    pub results: Vec<GateResultView>,
}

/// Something that a phase has to show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GateView {
    /// What it is.
    pub artifact_type: ArtifactType,
    /// When it is enough.
    #[schema(value_type = Object)]
    pub rule: Value,
}

/// The tasks of a ticket in one phase. `GET /admin/tickets/{ticket_id}/tasks-by-phase`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhaseTasks {
    /// The phase.
    pub phase_id: TicketPhase,
    /// Its tasks in plan order.
    pub tasks: Vec<TaskView>,
}

/// How the event bus does. `GET /admin/event-bus/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventBusStatus {
    /// Kind of bus: `in-process` or `redis`.
    pub bus: String,
    /// Whether a hint came back through it.
    pub is_connected: bool,
    /// Why none did.
    pub error: Option<String>,
    /// Events of all organisations, in the database.
    pub n_events: i64,
}

/// A hint that was sent to see whether it comes back. `POST /admin/event-bus/test-publish`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventBusProbe {
    /// The topic that it was sent on, which nobody follows.
    pub topic: String,
    /// Whether it came back.
    pub is_delivered: bool,
    /// After how many milliseconds.
    pub took_ms: Option<f64>,
    /// Why it did not come back.
    pub error: Option<String>,
}

/// Whether tickets go on by themselves. `GET /admin/phase-progression/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhaseProgressionStatus {
    /// Whether this process has the loop that does so, and it begins what nobody asked it for.
    pub is_running: bool,
    /// The loop.
    pub planner: Option<LoopStatus>,
    /// Tickets of the organisation that are to be begun.
    pub n_tickets_to_begin: u64,
}

/// The work that a phase begins with. `GET /admin/phase-progression/initial-tasks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhaseInitialTasks {
    /// The phase.
    pub phase_id: PhaseId,
    /// Its name for people.
    pub name: String,
    /// The work, in its order.
    pub initial_tasks: Vec<PhaseSeed>,
}

omoi_domain::closed_set! {
    /// How a part of a process does.
    ServiceState {
        /// As it should.
        Ok = "ok",
        /// It does, and something of it fails.
        Degraded = "degraded",
        /// It does not.
        Down = "down",
    }
}

/// How a part of a process does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceHealth {
    /// How it does.
    pub status: ServiceState,
    /// What it is, or what is wrong with it.
    pub detail: String,
}

/// How the parts of the process do. `GET /admin/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServicesHealth {
    /// The worst of them.
    pub status: ServiceState,
    /// By name: `database`, `event_bus`, `disk`, `sandbox`, `model`, and each loop.
    pub services: BTreeMap<String, ServiceHealth>,
}

/// Sandboxes that were left. `POST /sandboxes/admin/clear-tracked-sandboxes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClearedSandboxes {
    /// Rows that were ended.
    pub n_cleared: u32,
}
