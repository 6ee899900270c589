//! A streamed answer, whatever dialect says it.

use serde_json::Value;

use super::seal::ReasoningSeal;
use crate::wire::openai::{code_of_status, status_of_code};

/// One event of an answer.
///
/// Text and reasoning are pieces of the part under way; another kind of piece begins another part.
/// Calls have slots, because their pieces may take turns.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerEvent {
    /// The answer begins.
    Started(AnswerStart),
    /// More words.
    Text(String),
    /// More reasoning that is shown.
    Reasoning(String),
    /// The reasoning under way is whole; without one, a part that shows nothing.
    ReasoningSealed(ReasoningSeal),
    /// The model calls a tool.
    CallStarted(StartedCall),
    /// More of a call's input: JSON text, or free text where the call is of that kind.
    CallInput {
        /// Slot of the call.
        slot: usize,
        /// Piece to append.
        piece: String,
    },
    /// The input of a call is whole.
    CallEnded {
        /// Slot of the call.
        slot: usize,
    },
    /// Token counts; each figure replaces the one before.
    Usage(AnswerUsage),
    /// Why the answer ends.
    Stopped(StopReport),
    /// The answer failed on the way; nothing follows.
    Failed(AnswerFailure),
    /// The connection is alive.
    Ping,
    /// The answer is whole; a stream without it was cut.
    Ended,
}

/// The answer begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerStart {
    /// The vendor's name for this answer.
    pub id: String,
    /// The model that answers.
    pub model: String,
}

/// The model calls a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedCall {
    /// Tells the calls of one answer apart.
    pub slot: usize,
    /// Names the call; the result refers to it.
    pub id: String,
    /// Group of the tool, from a dialect that has groups.
    pub namespace: Option<String>,
    /// Name of the tool, as the model was told it.
    pub name: String,
    /// Whether the input is free text.
    pub freeform: bool,
}

/// Token counts of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerUsage {
    /// Tokens read, without those of the prompt cache.
    pub input_fresh: Option<u64>,
    /// Tokens read from the prompt cache.
    pub cache_read: Option<u64>,
    /// Tokens written to the prompt cache.
    pub cache_write: Option<u64>,
    /// Of those written, the ones kept for an hour.
    pub cache_write_hour: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output: Option<u64>,
    /// Of those answered, the ones spent on reasoning.
    pub reasoning: Option<u64>,
    /// How the call was served, which its price depends on.
    pub service_tier: Option<String>,
}

impl AnswerUsage {
    /// Takes over every figure that `newer` names.
    pub fn merge_figures(&mut self, newer: &Self) {
        let take = |old: &mut Option<u64>, new: Option<u64>| *old = new.or(*old);
        take(&mut self.input_fresh, newer.input_fresh);
        take(&mut self.cache_read, newer.cache_read);
        take(&mut self.cache_write, newer.cache_write);
        take(&mut self.cache_write_hour, newer.cache_write_hour);
        take(&mut self.output, newer.output);
        take(&mut self.reasoning, newer.reasoning);
        if newer.service_tier.is_some() {
            self.service_tier.clone_from(&newer.service_tier);
        }
    }

    /// Figures of a dialect that counts cached tokens as part of the input.
    pub(crate) fn from_input_total(total: u64, cache_read: u64, cache_write: u64) -> Self {
        Self {
            input_fresh: Some(total.saturating_sub(cache_read).saturating_sub(cache_write)),
            cache_read: (cache_read > 0).then_some(cache_read),
            cache_write: (cache_write > 0).then_some(cache_write),
            ..Self::default()
        }
    }

    /// All tokens read.
    pub(crate) fn input_total(&self) -> u64 {
        [self.input_fresh, self.cache_read, self.cache_write]
            .into_iter()
            .flatten()
            .sum()
    }
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// The reason.
    pub cause: EndReason,
    /// The text that ended it.
    pub stop_text: Option<String>,
}

/// The reason for the end of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The model was done.
    Finished,
    /// The limit of tokens was reached.
    TokenLimit,
    /// A stop text came up.
    StopText,
    /// The model waits for tool results.
    Calls,
    /// The vendor paused a long turn.
    Paused,
    /// The model or its vendor declined.
    Refused,
    /// A reason this version does not know.
    Other(String),
}

/// The answer failed on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerFailure {
    /// The status that it would have had before the answer began.
    pub status: u16,
    /// Message for people to read.
    pub message: String,
}

impl AnswerFailure {
    /// A failure whose dialect gives a word or number for it.
    pub(crate) fn from_code(code: Option<&Value>, message: &str) -> Self {
        let status = code.and_then(|code| match code {
            Value::Number(number) => number.as_u64().and_then(|n| u16::try_from(n).ok()),
            Value::String(word) => word.parse().ok().or_else(|| status_of_code(word)),
            _ => None,
        });
        Self {
            status: status.filter(|s| (400..600).contains(s)).unwrap_or(500),
            message: message.to_owned(),
        }
    }

    /// The stable word of OpenAI's APIs for this failure.
    pub(crate) fn openai_code(&self) -> &'static str {
        code_of_status(self.status)
    }
}
