//! What takes the turns of an attempt. The agent loop drives it and knows nothing of how it works.

use omoi_domain::retry::ErrorClass;
use omoi_llm::wire::anthropic::{ContentBlock, StopReason};

use crate::model_call::NoAnswer;
use crate::transcript::{AgentReply, BadTurn};

/// Takes turns in the workspace: our own loop, or an agent program that the worker drives.
pub(crate) trait AgentRuntime {
    /// Begins, or goes on after the turns that the context holds.
    async fn start(&mut self) -> Result<(), RuntimeError>;

    /// Waits for the next thing that it does. May be dropped at any await: the turn in flight did not
    /// happen.
    async fn events(&mut self) -> Result<RuntimeEvent, RuntimeError>;

    /// Goes on after a turn that ended and is committed, with the user message that answers it.
    async fn send(&mut self, answer: Vec<ContentBlock>) -> Result<(), RuntimeError>;
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
}

/// One answer of the model with the results of its tools: what is committed as a turn.
pub(crate) struct AgentTurn {
    /// The answer.
    pub(crate) reply: AgentReply,
    /// Tool results, one per call in order.
    pub(crate) results: Vec<ContentBlock>,
    /// SHA-256 of what was asked.
    pub(crate) request_digest: String,
    /// Whether the phase's output was accepted as complete.
    pub(crate) is_accepted: bool,
    /// Why the attempt ends now: the same refusal came too often.
    pub(crate) gives_up: Option<String>,
    /// Whether files of the workspace may have changed.
    pub(crate) may_have_changed: bool,
}

/// Why a runtime cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeError {
    /// The model gave no answer.
    #[error("the model gave no answer: {message}")]
    NoAnswer {
        /// Error class that decides about a retry.
        class: ErrorClass,
        /// Reason for people to read.
        message: String,
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
            NoAnswer::Final { class, message } => Self::NoAnswer { class, message },
        }
    }
}
