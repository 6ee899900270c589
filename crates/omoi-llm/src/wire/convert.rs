//! Between the two vendors: the gateway is Anthropic downstream, either upstream.
//!
//! What has no counterpart is either harmless to leave out (signed reasoning, cache hints, vendor
//! options) or refused with a [`ConvertError`]; words, tool calls and tool results are never lost.

mod request;
mod stream;

use thiserror::Error;

pub use self::request::{MaxTokensField, to_chat};
pub use self::stream::{ChunkConverter, events_of_chat};
use super::answer::{Accumulator, AnswerError, BrokenCall};
use super::anthropic::MessagesResponse;
use super::openai::ChatResponse;

/// Why a request or answer cannot be put into the other vendor's words.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConvertError {
    /// A block of this kind has no counterpart.
    #[error("a `{kind}` block cannot be sent to an OpenAI-compatible model")]
    Block {
        /// The block's kind.
        kind: String,
    },
    /// Tools that the vendor runs exist only there.
    #[error("tool `{name}` is run by Anthropic and has no OpenAI counterpart")]
    VendorTool {
        /// The tool's name.
        name: String,
    },
    /// The answer does not say why it ended, or says nothing at all.
    #[error("the answer is not whole")]
    NotWhole,
    /// What was put together makes no answer.
    #[error("the answer makes no sense")]
    Answer(#[source] AnswerError),
    /// A tool call cannot be run.
    #[error("the answer holds a broken tool call")]
    Call(#[source] BrokenCall),
}

/// Puts a whole OpenAI answer into Anthropic's words.
///
/// # Errors
/// Returns [`ConvertError`] when it is not whole or calls a tool with something that is not JSON.
pub fn from_chat(response: &ChatResponse) -> Result<MessagesResponse, ConvertError> {
    let mut answer = Accumulator::default();
    for event in events_of_chat(response).ok_or(ConvertError::NotWhole)? {
        answer.push(&event).map_err(ConvertError::Answer)?;
    }
    let mut answer = answer.finish().map_err(ConvertError::Answer)?;
    match answer.broken_calls.pop() {
        None => Ok(answer.response),
        Some(broken) => Err(ConvertError::Call(broken)),
    }
}
