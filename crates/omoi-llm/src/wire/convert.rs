//! Between the two vendors: the gateway is Anthropic downstream, either upstream.
//!
//! What has no counterpart is either harmless to leave out (signed reasoning, cache hints, vendor
//! options) or refused with a [`ConvertError`]; words, tool calls and tool results are never lost.

mod request;
mod response;
mod stream;

use thiserror::Error;

pub use self::request::{MaxTokensField, to_chat};
pub use self::response::{from_chat, usage_from_chat};
pub use self::stream::ChunkConverter;

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
    /// The answer holds no choice.
    #[error("the answer has no choices")]
    NoChoice,
    /// A tool call's arguments are not JSON.
    #[error("the arguments of tool call `{name}` are not JSON: {source}")]
    Arguments {
        /// The tool's name.
        name: String,
        /// What is wrong.
        source: ArgumentsError,
    },
}

/// What is wrong with a tool call's arguments.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ArgumentsError(String);

/// The input of a tool call from the JSON text the model wrote; no text means no arguments.
fn parse_arguments(name: &str, text: &str) -> Result<serde_json::Value, ConvertError> {
    if text.trim().is_empty() {
        return Ok(serde_json::json!({}));
    }
    serde_json::from_str(text).map_err(|e| ConvertError::Arguments {
        name: name.to_owned(),
        source: ArgumentsError(e.to_string()),
    })
}
