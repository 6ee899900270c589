//! The events of a streamed answer.

use serde::{Deserialize, Serialize};

use super::{ContentBlock, ErrorDetail, MessagesResponse, StopDetails, StopReason, TokenUsage};
use crate::wire::Extra;

open_enum! {
    /// One event of a streamed answer.
    pub enum StreamEvent {
        /// The answer begins; its content is still empty.
        MessageStart(MessageStart) = "message_start",
        /// A content block begins.
        ContentBlockStart(ContentBlockStart) = "content_block_start",
        /// A content block grows.
        ContentBlockDelta(ContentBlockDelta) = "content_block_delta",
        /// A block is whole.
        ContentBlockStop(ContentBlockStop) = "content_block_stop",
        /// Why the answer ends, and what it cost.
        MessageDelta(MessageDelta) = "message_delta",
        /// The answer is whole; a stream without it was cut.
        MessageStop(BareEvent) = "message_stop",
        /// Keeps the connection alive.
        Ping(BareEvent) = "ping",
        /// The answer failed on the way.
        Error(StreamError) = "error",
    }
}

impl StreamEvent {
    /// Whether it shows no content yet: vendors send such events before they find out that they are
    /// overloaded.
    pub const fn is_opening(&self) -> bool {
        matches!(self, Self::MessageStart(_) | Self::Ping(_))
    }
}

/// The answer begins: id, model, tokens read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageStart {
    /// The answer so far: no content, opening token counts.
    pub message: MessagesResponse,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A content block begins; its deltas and its end follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContentBlockStart {
    /// Position of the block in the answer.
    pub index: usize,
    /// The block, still empty.
    pub content_block: ContentBlock,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A content block grows by a piece.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContentBlockDelta {
    /// Position of the block in the answer.
    pub index: usize,
    /// Piece to append to the block.
    pub delta: BlockDelta,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// What to append to a block.
    pub enum BlockDelta {
        /// To a text block.
        Text(TextDelta) = "text_delta",
        /// To the JSON text of a tool call's input.
        InputJson(InputJsonDelta) = "input_json_delta",
        /// To a thinking block.
        Thinking(ThinkingDelta) = "thinking_delta",
        /// To a thinking block's signature.
        Signature(SignatureDelta) = "signature_delta",
    }
}

/// More text of a text block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextDelta {
    /// Text to append.
    pub text: String,
}

/// More of a tool call's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputJsonDelta {
    /// A piece of JSON text; only all pieces together parse.
    pub partial_json: String,
}

/// More reasoning of a thinking block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThinkingDelta {
    /// Reasoning text to append.
    pub thinking: String,
}

/// More of a signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignatureDelta {
    /// Piece of the signature to append.
    pub signature: String,
}

/// A block is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContentBlockStop {
    /// Position of the block in the answer.
    pub index: usize,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Why the answer ends, and what it cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageDelta {
    /// Changes to the answer's own fields.
    pub delta: MessageDeltaBody,
    /// Token counts so far.
    #[serde(default)]
    pub usage: TokenUsage,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Changes to the answer's own fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageDeltaBody {
    /// Why the answer ended; known in the last delta.
    #[serde(default)]
    pub stop_reason: Option<StopReason>,
    /// The text that ended it.
    #[serde(default)]
    pub stop_sequence: Option<String>,
    /// More about the reason, where the model declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_details: Option<StopDetails>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An event that says all by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BareEvent {
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The answer failed on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamError {
    /// Kind and message of the failure.
    pub error: ErrorDetail,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}
