//! What a worker inside a sandbox and the platform say to each other.
//!
//! Base path `/api/v1/sandboxes/{sandbox_id}`, over the mounted Unix socket, with
//! `Authorization: Bearer <token>`; the token is bound to one attempt and its fence. A report of a
//! superseded attempt is answered `409 superseded_attempt`. The model gateway answers on the same
//! socket at `/v1/messages`, with the same token as `x-api-key` or bearer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason, AttemptSubject, TurnKind};
use omoi_domain::dialect::Dialect;
use omoi_domain::discovery::DiscoveryType;
use omoi_domain::egress::EgressLaunch;
use omoi_domain::id::{AttemptId, DiscoveryId, EventId, MessageId, SandboxId};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::retry::ErrorClass;
use omoi_domain::task::TicketPhase;

/// Name of the context file among a sandbox's generated files.
pub const CONTEXT_FILE: &str = "context.json";
/// What a worker asks a connection of `GET …/egress` to be upgraded to: a connection to the proxy.
pub const EGRESS_PROTOCOL: &str = "omoi-egress";
/// The words that end a pass: alone on the last non-empty line of an assistant message.
pub const COMPLETION_SIGNAL: &str = "TASK_COMPLETE";
/// Longest event accepted, in bytes.
pub const EVENT_BYTES_MAX: usize = 100 * 1024;
/// Most events in one report.
pub const EVENTS_MAX: usize = 100;
/// Items of one report.
pub const ITEMS_MAX: usize = 64;
/// Bytes that a turn's answer and its tool results may have together, as JSON: as many as a model call may have, so
/// that nothing could go on from more.
pub const TURN_BYTES_MAX: u64 = 32 << 20;
/// Bytes that the answers and tool results of all turns of an attempt may have, those that it was given included.
pub const TURNS_BYTES_MAX: u64 = 128 << 20;
/// Bytes that one turn may add to the session of an agent program.
pub const SESSION_PART_BYTES_MAX: u64 = 32 << 20;
/// Bytes that the session of an agent program may have. Who goes on from a longer one begins a new one.
pub const SESSION_BYTES_MAX: u64 = 50_000_000;

/// A tool an attempt may offer its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentTool {
    /// Read a file of the workspace.
    Read,
    /// List files by pattern.
    Glob,
    /// Search file contents by regular expression.
    Grep,
    /// Find where a name is defined and used.
    FindSymbol,
    /// Write a whole file.
    Write,
    /// Replace text in a file.
    Edit,
    /// Change files by a patch; offered in place of `edit` to models that were trained on it.
    ApplyPatch,
    /// Run a command in the sandbox.
    Shell,
    /// Look at a picture of the workspace.
    Image,
    /// Write down what must not be forgotten.
    Notes,
    /// Say which steps are to be taken.
    Plan,
    /// Report a bug or missing piece.
    ReportDiscovery,
    /// Submit one item of a phase's output.
    SubmitItem,
    /// Say that a phase's output is complete.
    SubmitDone,
}

impl AgentTool {
    /// The name models call it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Glob => "glob",
            Self::Grep => "grep",
            Self::FindSymbol => "find_symbol",
            Self::Write => "write",
            Self::Edit => "edit",
            Self::ApplyPatch => "apply_patch",
            Self::Shell => "shell",
            Self::Image => "image",
            Self::Notes => "notes",
            Self::Plan => "plan",
            Self::ReportDiscovery => "report_discovery",
            Self::SubmitItem => "submit_item",
            Self::SubmitDone => "submit_done",
        }
    }
}

/// Everything a worker is told, in a file of mode 0600 named as its first argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptContext {
    /// Row id of the attempt.
    pub attempt_id: AttemptId,
    /// Its sandbox; part of every path.
    pub sandbox_id: SandboxId,
    /// Fence that every report carries.
    pub fence: i64,
    /// The kind of work this attempt performs, and the row it is for.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// `TSK-003`, or the phase's name.
    pub subject_ref: String,
    /// Times the subject was sent back.
    pub round: u32,
    /// The one credential inside the sandbox.
    pub token: String,
    /// The platform's Unix socket, as the worker sees it.
    pub socket: String,
    /// The workspace, as the worker sees it.
    pub workspace: String,
    /// What takes the turns.
    pub agent: AgentLaunch,
    /// Model alias to ask for.
    pub model: String,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// System prompt of the agent.
    pub system: String,
    /// The first user message.
    pub prompt: String,
    /// Tools the model is offered.
    pub tools: Vec<AgentTool>,
    /// JSON schema of `submit_item`'s input, when it is offered.
    pub item_schema: Option<Value>,
    /// What it may use.
    pub limits: AttemptLimits,
    /// How its work is committed; none for attempts that only read.
    pub commit: Option<CommitPlan>,
    /// Its way out; none for attempts that reach nothing.
    pub egress: Option<EgressLaunch>,
    /// Turns of the attempt it goes on from; the work tree stands as after the last of them.
    pub resume: Vec<TurnRecord>,
}

/// What takes the turns of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLaunch {
    /// Our own loop, or an agent program.
    pub program: AgentProgram,
    /// Where the program is installed; none for our own loop.
    pub installed: Option<WorkerProgram>,
    /// Version of the prompts of our own loop, such as `claude-1`; none for programs, which have their own.
    pub prompts: Option<String>,
}

impl AgentLaunch {
    /// Our own loop, told the `prompts` of that version.
    pub const fn native_loop(prompts: String) -> Self {
        Self {
            program: AgentProgram::Native,
            installed: None,
            prompts: Some(prompts),
        }
    }
}

/// An agent program that a worker starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerProgram {
    /// Its command line, as the worker sees its files: the executable first, then what comes before the
    /// arguments of its driver.
    pub command: Vec<String>,
    /// The version that was installed; a program that says it is another one is not used.
    pub version: String,
    /// How it is told of its model, where a person has declared it.
    pub declared: Option<DeclaredProgram>,
}

/// What a person has declared of an agent program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredProgram {
    /// Its arguments. They and the variables may hold `{address}`, `{token}` and `{model}`.
    pub arguments: Vec<String>,
    /// Variables beyond those of every program.
    pub variables: Vec<(String, String)>,
    /// The wire format of its model calls.
    pub dialect: Dialect,
}

/// What one attempt may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptLimits {
    /// Turns, those of a resumed attempt included.
    pub turns_max: u32,
    /// Wall time of the attempt in seconds.
    pub wall_s: u64,
    /// Wall time of one command in seconds.
    pub command_s: u64,
    /// Bytes of one tool result that reach the model.
    pub result_bytes: usize,
    /// Seconds between two heartbeats.
    pub heartbeat_s: u64,
    /// Tokens that the model reads at most, where that is known.
    pub window_tokens: Option<u64>,
}

/// How an attempt's work is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPlan {
    /// The branch checked out in the workspace.
    pub branch: String,
    /// The commit it was cut from; the bundle holds what came after.
    pub base_sha: String,
    /// First line of the message.
    pub subject: String,
    /// `Key: value` lines at its end.
    pub trailers: Vec<(String, String)>,
    /// Author and committer name.
    pub author_name: String,
    /// Author and committer address.
    pub author_email: String,
    /// Paths the commit must not touch; changes there are put back.
    pub protected: Vec<String>,
    /// Longest bundle the platform takes.
    pub bundle_bytes_max: usize,
}

/// One turn as it is stored and replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// Position within the attempt, from 0.
    pub n: u32,
    /// Whether it is an answer, or a summary that stands for the turns before it.
    #[serde(default = "answer_turn")]
    pub kind: TurnKind,
    /// SHA-256 of the request's bytes.
    pub request_digest: String,
    /// Tokens that the model said it read for it, where it said so; of a summary that it was not asked for,
    /// tokens that it refused to read.
    #[serde(default)]
    pub request_tokens: Option<u64>,
    /// Content blocks of the assistant's message, in the Anthropic shape.
    pub response: Value,
    /// Content blocks of the user message that answers it, in the Anthropic shape; empty at the end.
    pub tool_results: Value,
    /// What it added to the session of the agent program.
    #[serde(default)]
    pub session: Option<SessionPart>,
}

impl TurnRecord {
    /// The tokens that the model refused to read before this summary was made without it.
    pub fn refused_tokens(&self) -> Option<u64> {
        let is_unasked = self.kind == TurnKind::Compaction && self.request_digest.is_empty();
        self.request_tokens.filter(|_| is_unasked)
    }
}

const fn answer_turn() -> TurnKind {
    TurnKind::Answer
}

/// What one turn added to the file in which an agent program keeps its conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPart {
    /// Id that the program gave its session.
    pub session_id: String,
    /// Bytes of the file before it, as the program wrote them.
    pub offset: u64,
    /// Bytes of the file with it, as the program wrote them: a secret in `added` has been masked since.
    pub end: u64,
    /// Whole lines.
    pub added: String,
}

/// Git objects on their way out of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitBundle {
    /// The commit it brings.
    pub sha: String,
    /// A git bundle, base64.
    pub data_b64: String,
}

/// A finished turn to be stored. `POST /turns`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommitTurn {
    /// The turn as it is replayed.
    pub turn: TurnRecord,
    /// Snapshot of the work tree, when it changed since the last one.
    pub snapshot: Option<GitBundle>,
    /// Messages in its tool results; with the turn they count as read.
    pub messages: Vec<MessageId>,
}

/// Events of a worker to be stored. `POST /events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportEvents {
    /// Oldest first, at most [`EVENTS_MAX`].
    pub events: Vec<WorkerEvent>,
}

/// One event of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsAck {
    /// Events that were new.
    pub stored: u32,
}

/// A sign of life of a worker. `POST /heartbeat`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportHeartbeat {
    /// Grows by one with each heartbeat.
    pub sequence_number: u64,
    /// `starting`, `running`, `waiting`, `degraded`.
    pub status: String,
}

/// Answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAck {
    /// Always true: the platform has stored it.
    pub received: bool,
    /// `abort` when the attempt is to stop.
    pub commands: Vec<String>,
}

/// One message of `GET /messages?wait=25`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckMessages {
    /// Row ids of the messages that arrived.
    pub ids: Vec<MessageId>,
}

/// `POST /items`: items of a phase's output, taken in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubmitItems {
    /// At most [`ITEMS_MAX`].
    pub items: Vec<SubmitItem>,
}

/// One item of a phase's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubmitItem {
    /// The section of the output.
    pub section: String,
    /// The item's key; the same key again replaces.
    pub key: String,
    /// The item, by the schema of its section.
    pub value: Value,
}

/// Answer to items: what became of each, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemsAck {
    /// As many as there were items.
    pub outcomes: Vec<ItemOutcome>,
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemOutcome {
    /// It is part of the output.
    Accepted(ItemAck),
    /// It breaks a rule; the others are not touched by that.
    Refused {
        /// What was expected, for the model to mend.
        message: String,
    },
}

/// An item that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemAck {
    /// Position in the phase's journal.
    pub seq: i64,
    /// Rewrites made on the way in.
    pub notes: Vec<String>,
}

/// `POST /done`: whether a phase's output is complete. Refused with 422 naming what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneAck {
    /// Items in the journal.
    pub items: u32,
}

/// Work that an agent found on its way. `POST /discoveries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedCheck {
    /// Run by `sh -c` at the root of a clean checkout; must fail now and pass when the work is done.
    pub command: String,
    /// Files laid over the checkout before the run.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// Answer to a discovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveryAck {
    /// Row id of the discovery.
    pub discovery_id: DiscoveryId,
    /// `TSK-n` of the task that carries it.
    pub task_ref: Option<String>,
    /// Why no task carries it, where none does.
    pub refused: Option<String>,
}

/// `POST /started`: the worker is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportStarted {
    /// What takes the turns.
    pub agent: AgentProgram,
    /// Version of the agent program.
    pub version: String,
    /// Whether it goes on from an earlier attempt.
    pub is_resuming: bool,
}

/// `POST /complete`: the attempt is over. Idempotent per fence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

/// Answer to the end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteAck {
    /// Always `accepted`: the end was applied.
    pub status: String,
}
