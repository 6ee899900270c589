//! Turns of an attempt: what is committed, and what they are replayed from.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::attempt::TurnKind;
use omoi_domain::id::MessageId;

/// Bytes that a turn's answer and its tool results may have together, as JSON: as many as a model call may have, so
/// that nothing could go on from more.
pub const TURN_BYTES_MAX: u64 = 32 << 20;
/// Bytes that the answers and tool results of all turns of an attempt may have, those that it was given included.
pub const TURNS_BYTES_MAX: u64 = 128 << 20;
/// Bytes that one turn may add to the session of an agent program.
pub const SESSION_PART_BYTES_MAX: u64 = 32 << 20;
/// Bytes that the session of an agent program may have. Who goes on from a longer one begins a new one.
pub const SESSION_BYTES_MAX: u64 = 50_000_000;

/// One turn as it is stored and replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GitBundle {
    /// The commit it brings.
    pub sha: String,
    /// A git bundle, base64.
    pub data_b64: String,
}

/// A finished turn to be stored. `POST /turns`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "turn": { "n": 0, "request_digest": "9f86d081", "response": [], "tool_results": [] },
    "snapshot": null, "messages": []
}))]
pub struct CommitTurn {
    /// The turn as it is replayed.
    pub turn: TurnRecord,
    /// Snapshot of the work tree, when it changed since the last one.
    pub snapshot: Option<GitBundle>,
    /// Messages in its tool results; with the turn they count as read.
    pub messages: Vec<MessageId>,
}
