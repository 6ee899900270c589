//! What the work on tickets came to, and which of them are stalled.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::actor::Actor;
use omoi_domain::id::{AttemptId, TaskId, TicketId};
use omoi_domain::task::TicketPhase;
use omoi_domain::ticket::TicketBlockReason;
use omoi_domain::ticket_context::TaskContext;

use super::time::ApiTime;

/// What the work on a ticket came to. `GET /tickets/{ticket_id}/context`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TicketContextView {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// By phase, the latest first: those that were built.
    pub phases: Vec<PhaseContextView>,
}

/// What the tasks of one phase of a ticket came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhaseContextView {
    /// The phase.
    pub phase_id: TicketPhase,
    /// In words.
    pub summary: String,
    /// Its tasks.
    pub tasks: Vec<TaskContext>,
    /// Who had it built.
    #[schema(value_type = Object)]
    pub actor: Actor,
    /// When.
    pub updated_at: ApiTime,
}

/// Body of `POST /tickets/{ticket_id}/update-context`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "phase_id": "PHASE_IMPLEMENTATION" }))]
#[serde(deny_unknown_fields)]
pub struct UpdateTicketContext {
    /// The phase whose tasks are looked at.
    pub phase_id: TicketPhase,
}

/// Tickets that are held up since a look for stalled ones. `POST /tickets/detect-blocking`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DetectedBlocking {
    /// Tickets that were looked at.
    pub n_examined: u64,
    /// Those that are held up now.
    pub blocked: Vec<DetectedBlocker>,
    /// Row ids of those that were held up so before and go on now, as the cause is gone.
    pub released: Vec<TicketId>,
}

/// A ticket that is held up since a look for stalled ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DetectedBlocker {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// Reference within its project, `TKT-n`.
    pub ticket_ref: String,
    /// What holds it up.
    pub blocker_type: Option<TicketBlockReason>,
    /// The same in words.
    pub detail: Option<String>,
    /// Row id of the task that looks for the cause, where there is one.
    pub remedy_task_id: Option<TaskId>,
    /// Reference of that task within its project, `TSK-n`.
    pub remedy_task_ref: Option<String>,
}

/// Body of `POST /tasks/{task_id}/register-conversation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "conversation_id": "5f6c1c9a-conversation" }))]
#[serde(deny_unknown_fields)]
pub struct RegisterConversation {
    /// Id of the conversation that the program of the agent has, of 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    pub conversation_id: String,
    /// The attempt at the task that has it; the newest one where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<AttemptId>,
}

/// Body of `PATCH /agents/{agent_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "tags": ["look at it"] }))]
#[serde(deny_unknown_fields)]
pub struct UpdateAgent {
    /// Words that people find it by: all of them.
    pub tags: Vec<String>,
}
