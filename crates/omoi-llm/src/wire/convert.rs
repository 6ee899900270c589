//! Between the two vendors: the gateway is Anthropic downstream, either upstream.
//!
//! What has no counterpart is either harmless to leave out (signed reasoning, cache hints, vendor
//! options) or refused with a [`ConvertError`]; words, tool calls and tool results are never lost.

mod request;
mod stream;

use thiserror::Error;

use super::dialect::Dialect;

pub use self::request::{MaxTokensField, to_chat};
pub use self::stream::{ChunkConverter, events_of_chat};

/// Why a request or answer cannot be put into the other vendor's words.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConvertError {
    /// A block of this kind has no counterpart.
    #[error("a `{kind}` block cannot be sent to an OpenAI-compatible model")]
    Block {
        /// Kind of the block, such as `thinking`.
        kind: String,
    },
    /// Tools that the vendor runs exist only there.
    #[error("tool `{name}` is run by Anthropic and has no OpenAI counterpart")]
    VendorTool {
        /// Name of the vendor's own tool.
        name: String,
    },
    /// Nothing converts between the two formats.
    #[error("a request in {from} cannot be put to a model that speaks {to}")]
    Dialects {
        /// What the request is written in.
        from: Dialect,
        /// What the model reads.
        to: Dialect,
    },
}
