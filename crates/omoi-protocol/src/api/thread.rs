//! What agents and people say to each other.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::id::{AttemptId, ProjectId, TaskId, ThreadId, ThreadMessageId, TicketId, UserId};
use omoi_domain::thread::{ParticipantKind, ThreadMessageType, ThreadStatus, ThreadType};

use super::example::{EXAMPLE_TASK, EXAMPLE_THREAD};
use super::ticket::ActorView;
use super::time::ApiTime;

/// Who takes part in a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParticipantView {
    /// What they are.
    pub kind: ParticipantKind,
    /// Row id of the person, the key, or the task whose agent it is.
    pub id: String,
    /// `TSK-n` of that task.
    pub task_ref: Option<String>,
}

/// A thread. `GET /collaboration/threads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ThreadView {
    /// Row id of the thread.
    pub id: ThreadId,
    /// The project of the work that it is about.
    pub project_id: ProjectId,
    /// What it is for.
    pub thread_type: ThreadType,
    /// Whether it takes messages.
    pub status: ThreadStatus,
    /// The ticket that it is about, where it is about one.
    pub ticket_id: Option<TicketId>,
    /// The task that it is about, where it is about one.
    pub task_id: Option<TaskId>,
    /// Who takes part.
    pub participants: Vec<ParticipantView>,
    /// Who opened it.
    pub opened_by: ActorView,
    /// When it was opened.
    pub created_at: ApiTime,
    /// When something was said in it last, or it last changed.
    pub updated_at: ApiTime,
    /// When it ended.
    pub closed_at: Option<ApiTime>,
}

/// To whom something is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// Who is to read it.
    pub to: ParticipantView,
    /// When it reached them: an agent with its next turn, everybody else at once.
    pub delivered_at: Option<ApiTime>,
    /// When they said that they know it; agents do not.
    pub read_at: Option<ApiTime>,
    /// When it was taken back, as no agent had read it within 24 hours.
    pub expired_at: Option<ApiTime>,
}

/// What somebody says in a thread. `GET /collaboration/threads/{thread_id}/messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ThreadMessageView {
    /// Row id of the message.
    pub id: ThreadMessageId,
    /// Row id of the thread.
    pub thread_id: ThreadId,
    /// Who says it.
    pub from: ParticipantView,
    /// The attempt of the agent who says it.
    pub agent_id: Option<AttemptId>,
    /// What it is.
    pub message_type: ThreadMessageType,
    /// The words.
    pub content: String,
    /// Whether it is for everybody who takes part.
    pub is_broadcast: bool,
    /// To whom it is said.
    pub deliveries: Vec<DeliveryView>,
    /// When it was said.
    pub created_at: ApiTime,
}

/// A thread that somebody wants to speak in. `POST /collaboration/threads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "thread_type": "consultation", "agents": [EXAMPLE_TASK] }))]
#[serde(deny_unknown_fields)]
pub struct OpenThread {
    /// Its project; that of the first agent named by a row id, or the only one there is, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// What it is for.
    pub thread_type: ThreadType,
    /// The ticket that it is about: a row id or `TKT-n`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_id: Option<String>,
    /// The task that it is about: a row id or `TSK-n`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The tasks whose agents take part, now and later: row ids or `TSK-n`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub agents: Vec<String>,
    /// Members of the organisation who take part, beside whoever asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub users: Vec<UserId>,
}

/// Something to say in a thread. `POST /collaboration/messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "thread_id": EXAMPLE_THREAD, "message_type": "question", "content": "Which port is it?" }))]
#[serde(deny_unknown_fields)]
pub struct SendThreadMessage {
    /// Row id of the thread.
    pub thread_id: ThreadId,
    /// What it is.
    pub message_type: ThreadMessageType,
    /// The words, 1 to 10,240 bytes.
    pub content: String,
    /// The task whose agent alone it is for: a row id or `TSK-n`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_agent: Option<String>,
    /// The person whom alone it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_user: Option<UserId>,
}
