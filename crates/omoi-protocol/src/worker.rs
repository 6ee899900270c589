//! What a worker inside a sandbox and the platform say to each other.
//!
//! Base path `/api/v1/sandboxes/{sandbox_id}`, over the mounted Unix socket, with
//! `Authorization: Bearer <token>`; the token is bound to one attempt and its fence. A report of a
//! superseded attempt is answered `409 superseded_attempt`. The model gateway answers on the same
//! socket at `/v1/messages`, with the same token as `x-api-key` or bearer.

mod context;
mod items;
mod results;
mod threads;
mod turns;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::discovery::DiscoveryType;
use omoi_domain::id::{DiscoveryId, EventId, MessageId};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::retry::ErrorClass;
use omoi_domain::task::TicketPhase;

pub use self::context::*;
pub use self::items::*;
pub use self::results::*;
pub use self::threads::*;
pub use self::turns::*;

/// What a worker asks a connection of `GET …/egress` to be upgraded to: a connection to the proxy.
pub const EGRESS_PROTOCOL: &str = "omoi-egress";
/// The words that end a pass: alone on the last non-empty line of an assistant message.
pub const COMPLETION_SIGNAL: &str = "TASK_COMPLETE";
/// Longest event accepted, in bytes.
pub const EVENT_BYTES_MAX: usize = 100 * 1024;
/// Most events in one report.
pub const EVENTS_MAX: usize = 100;

/// Events of a worker to be stored. `POST /events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "events": [{
    "event_id": "01930000-0000-7000-8000-000000000008", "event_type": "agent.tool_result",
    "event_data": { "tool": "shell" }, "summary": "cargo test"
}] }))]
pub struct ReportEvents {
    /// Oldest first, at most [`EVENTS_MAX`].
    pub events: Vec<WorkerEvent>,
}

/// One event of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerEvent {
    /// Made by the worker; the same id again is the same event.
    pub event_id: EventId,
    /// What happened; any other name is refused.
    pub event_type: AgentEventKind,
    /// Fields of the event, by its type.
    pub event_data: Value,
    /// One line for people, when it is worth showing.
    pub summary: Option<String>,
}

/// Answer to a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsAck {
    /// Events that were new.
    pub stored: u32,
}

/// A sign of life of a worker. `POST /heartbeat`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "sequence_number": 1, "status": "running" }))]
pub struct ReportHeartbeat {
    /// Grows by one with each heartbeat.
    pub sequence_number: u64,
    /// `starting`, `running`, `waiting`, `degraded`.
    pub status: String,
}

/// Answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatAck {
    /// Always true: the platform has stored it.
    pub received: bool,
    /// `abort` when the attempt is to stop.
    pub commands: Vec<String>,
}

/// How often the platform looks for messages for an agent that waits for one: the longest that one lies until it is given
/// out.
pub const MESSAGE_LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Most messages that an agent says it has when it asks for others.
pub const KNOWN_MESSAGES_MAX: usize = 100;

/// One message of `GET /messages?wait=25&known=ID,ID`: those that are not acknowledged, but for the known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxMessage {
    /// Its id, for the acknowledgement.
    pub id: MessageId,
    /// Words that the agent reads.
    pub content: String,
    /// Whether it is read as words or as an order to stop.
    pub message_type: MessageType,
    /// Kind of sender the message has.
    pub sender: MessageSender,
}

/// Messages that reached the agent. `POST /messages/ack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "ids": [] }))]
pub struct AckMessages {
    /// Row ids of the messages that arrived.
    pub ids: Vec<MessageId>,
}

/// Work that an agent found on its way. `POST /discoveries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "discovery_type": "bug", "title": "Sum of an empty list", "description": "`total([])` fails; see src/total.py.",
    "spawn_phase_id": null, "check": null, "files": ["src/total.py"]
}))]
pub struct ReportDiscovery {
    /// What kind of work it is.
    pub discovery_type: DiscoveryType,
    /// One line; names the spawned task.
    pub title: String,
    /// What was found, where, and how to see it.
    pub description: String,
    /// Phase of the ticket the task belongs to; `PHASE_IMPLEMENTATION` when absent.
    pub spawn_phase_id: Option<TicketPhase>,
    /// Whether the task goes ahead of its equals.
    #[serde(default)]
    pub priority_boost: bool,
    /// Whether the spec cannot succeed without it.
    #[serde(default)]
    pub needed: bool,
    /// A check of its own.
    pub check: Option<ProposedCheck>,
    /// Files it expects to touch.
    #[serde(default)]
    pub files: Vec<String>,
}

/// A check an agent proposes for work it found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposedCheck {
    /// Run by `sh -c` at the root of a clean checkout; must fail now and pass when the work is done.
    pub command: String,
    /// Files laid over the checkout before the run.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// Answer to a discovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscoveryAck {
    /// Row id of the discovery.
    pub discovery_id: DiscoveryId,
    /// `TSK-n` of the task that carries it.
    pub task_ref: Option<String>,
    /// Why no task carries it, where none does.
    pub refused: Option<String>,
}

/// `POST /started`: the worker is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "agent": "native", "version": "1.0.0", "is_resuming": false }))]
pub struct ReportStarted {
    /// What takes the turns.
    pub agent: AgentProgram,
    /// Version of the agent program.
    pub version: String,
    /// Whether it goes on from an earlier attempt.
    pub is_resuming: bool,
}

/// `POST /complete`: the attempt is over. Idempotent per fence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "outcome": "interrupted", "stop_reason": "interrupt", "summary": "Stopped as told.", "bundle": null,
    "error_class": null, "error_message": null, "turns": 3
}))]
pub struct ReportComplete {
    /// How the worker says it ended.
    pub outcome: AttemptOutcome,
    /// Reason for which it ended.
    pub stop_reason: AttemptStopReason,
    /// What the agent says it did.
    pub summary: Option<String>,
    /// The commits, when there are any.
    pub bundle: Option<GitBundle>,
    /// Class of the error that ended it.
    pub error_class: Option<ErrorClass>,
    /// Message of the error that ended it.
    pub error_message: Option<String>,
    /// Turns taken, those of a resumed attempt included.
    pub turns: u32,
    /// Paths changed outside what the attempt may write; they were put back.
    #[serde(default)]
    pub refused_paths: Vec<String>,
    /// Why the work could not be saved, or not all of it; the agent can mend it in another round.
    #[serde(default)]
    pub unsaved: Option<String>,
    /// Some of the new files that the repository's ignore rules keep out of every commit; told only
    /// when there is nothing else.
    #[serde(default)]
    pub ignored_paths: Vec<String>,
    /// What the agent asks a person, where that ended it; the work goes on with the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<AskPerson>,
}

/// What an agent asks a person, by its tool `ask_person`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskPerson {
    /// The question.
    pub question: String,
    /// What may be answered; anything where it is left out.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// Bytes of a question to a person.
pub const QUESTION_BYTES_MAX: usize = 4 << 10;
/// Answers that a question may offer.
pub const CHOICES_MAX: usize = 10;
/// Bytes of each of them.
pub const CHOICE_BYTES_MAX: usize = 200;

impl AskPerson {
    /// Whether people can be asked this.
    pub fn is_sound(&self) -> bool {
        let is_text =
            |text: &str, bytes_max: usize| !text.trim().is_empty() && text.len() <= bytes_max;
        is_text(&self.question, QUESTION_BYTES_MAX)
            && self.choices.len() <= CHOICES_MAX
            && self
                .choices
                .iter()
                .all(|choice| is_text(choice, CHOICE_BYTES_MAX))
    }

    /// This question and `more` as one; this one alone where both are too much.
    #[must_use]
    pub fn joined_with(self, more: Self) -> Self {
        let both = Self {
            question: format!("{}\n\n{}", self.question, more.question),
            choices: Vec::new(),
        };
        match both.is_sound() {
            true => both,
            false => self,
        }
    }
}

/// Begins the words of somebody else among those of a conversation.
pub const MESSAGE_MARK: &str = "Message from ";

/// A message as the model reads it.
pub fn told_message(sender: MessageSender, message_type: MessageType, content: &str) -> String {
    format!("{MESSAGE_MARK}{sender} ({message_type}):\n{content}")
}

/// Answer to the end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompleteAck {
    /// Always `accepted`: the end was applied.
    pub status: String,
}
