//! What takes the turns of an attempt. The agent loop drives it and knows nothing of how it works.

use omoi_domain::retry::ErrorClass;
use omoi_llm::wire::anthropic::{ContentBlock, StopReason};
use omoi_protocol::worker::{AskPerson, SessionPart};

use crate::compaction::CompactedTurns;
use crate::model_call::NoAnswer;
use crate::transcript::{AgentReply, BadTurn};

/// Takes turns in the workspace: our own loop, or an agent program that the worker drives.
pub(crate) trait AgentRuntime {
    /// What it can do beyond taking turns.
    fn capabilities(&self) -> RuntimeCapabilities;

    /// Begins, or goes on after the turns that the context holds.
    async fn start(&mut self) -> Result<(), RuntimeError>;

    /// Waits for the next thing that it does. May be dropped at any await: the turn in flight did not
    /// happen.
    async fn events(&mut self) -> Result<RuntimeEvent, RuntimeError>;

    /// Goes on after a turn that ended, with the user message that answers it. The turn is committed, or is
    /// before a tool runs where [`RuntimeCapabilities::asks_before_tools`].
    async fn send(&mut self, answer: Vec<ContentBlock>) -> Result<(), RuntimeError>;

    /// Adds `more` to the last answer; what came of it so far did not happen. Asked only of a runtime that
    /// [asks before tools run](RuntimeCapabilities::asks_before_tools).
    fn amend_answer(&mut self, _more: Vec<ContentBlock>) {}

    /// Stops the turn in flight, within a second.
    async fn interrupt(&mut self);

    /// Ends it, with everything that it started.
    async fn end(&mut self, ending: RuntimeEnding);
}

/// What a runtime can do beyond taking turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeCapabilities {
    /// Whether words reach the model between two of its calls, not only when it waits for them.
    pub(crate) is_steered_between_calls: bool,
    /// Whether the event after an answer comes before anything changes the workspace, so that the turn may be
    /// committed while the model is asked.
    pub(crate) asks_before_tools: bool,
}

/// How a runtime is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuntimeEnding {
    /// Its work is over.
    Orderly,
    /// It was interrupted, and its work is to be saved soon.
    Hurried,
    /// Nothing that it does counts any more.
    AtOnce,
}

/// What a runtime does.
pub(crate) enum RuntimeEvent {
    /// The model answered; its tools run next.
    Answered {
        /// The answer.
        reply: AgentReply,
        /// Why it ended.
        stop_reason: Option<StopReason>,
    },
    /// The tools of that answer have run.
    TurnEnded(AgentTurn),
    /// Turns before the last ones were summed up; it goes on once that is committed.
    Compacted(SummaryTurn),
}

/// A summary that takes the place of earlier turns: what is committed as a turn of its own.
pub(crate) struct SummaryTurn {
    /// The summary and the record that answers it.
    pub(crate) compacted: CompactedTurns,
    /// SHA-256 of the question for it; empty where nobody was asked.
    pub(crate) request_digest: String,
    /// Tokens that the model said it read.
    pub(crate) request_tokens: Option<u64>,
    /// About how many tokens the conversation had.
    pub(crate) tokens_before: u64,
}

/// One answer of the model with the results of its tools: what is committed as a turn.
pub(crate) struct AgentTurn {
    /// The answer.
    pub(crate) reply: AgentReply,
    /// Tool results, one per call in order.
    pub(crate) results: Vec<ContentBlock>,
    /// SHA-256 of what was asked.
    pub(crate) request_digest: String,
    /// Tokens that the model said it read for it.
    pub(crate) request_tokens: Option<u64>,
    /// Whether the phase's output was accepted as complete.
    pub(crate) is_accepted: bool,
    /// Why the attempt ends now: the same refusal came too often.
    pub(crate) gives_up: Option<String>,
    /// What a person is asked before it goes on.
    pub(crate) asks: Option<AskPerson>,
    /// Whether files of the workspace may have changed.
    pub(crate) may_have_changed: bool,
    /// Whether the model waits for words of ours.
    pub(crate) is_waiting: bool,
    /// What was added to the program's own session.
    pub(crate) session: Option<SessionPart>,
}

/// Why a runtime cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeError {
    /// The model gave no answer, or the program failed.
    #[error("{message}")]
    Failed {
        /// Error class that decides about a retry.
        class: ErrorClass,
        /// Reason for people to read.
        message: String,
    },
    /// The process of the program is gone. Its session is as it was after the last turn.
    #[error("{message}")]
    ProgramEnded {
        /// How it ended, for people to read.
        message: String,
        /// Whether calls of the turn in flight may have done something.
        has_acted: bool,
    },
    /// The gateway does not know this attempt any more.
    #[error("the attempt was superseded")]
    Superseded,
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Json(#[from] serde_json::Error),
    /// A recorded turn cannot be read.
    #[error("the transcript is broken")]
    Transcript(#[from] BadTurn),
}

impl From<NoAnswer> for RuntimeError {
    fn from(failure: NoAnswer) -> Self {
        match failure {
            NoAnswer::Superseded => Self::Superseded,
            NoAnswer::Final { class, message } => Self::Failed { class, message },
            NoAnswer::OverWindow { message } => Self::Failed {
                class: ErrorClass::UpstreamRefused,
                message,
            },
        }
    }
}
