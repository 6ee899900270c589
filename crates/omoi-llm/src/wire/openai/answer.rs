//! Whole and streamed answers, errors.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ChatMessage, ToolCallKind};
use crate::wire::{Extra, null_as_default};

/// A whole answer of `POST /chat/completions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatResponse {
    /// The vendor's name for this answer.
    pub id: String,
    /// Constant tag, always `chat.completion`.
    #[serde(default = "completion")]
    pub object: String,
    /// Seconds since the epoch.
    #[serde(default)]
    pub created: i64,
    /// The model that answered.
    pub model: String,
    /// The answers; we ask for one.
    pub choices: Vec<ChatChoice>,
    /// Token counts of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ChatUsage>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One answer of possibly several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatChoice {
    /// Number of the answer, from 0.
    #[serde(default)]
    pub index: usize,
    /// What was said. Its `role` is `assistant`.
    pub message: ChatMessage,
    /// Why the answer ended.
    pub finish_reason: Option<FinishReason>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

open_words! {
    /// Why an answer ended.
    pub enum FinishReason {
        /// The model was done, or a stop text came up.
        Stop = "stop",
        /// The token limit was reached.
        Length = "length",
        /// The model waits for function results.
        ToolCalls = "tool_calls",
        /// The older name of the same.
        FunctionCall = "function_call",
        /// The vendor held the answer back.
        ContentFilter = "content_filter",
    }
}

/// One event of a streamed answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// The vendor's name for this answer.
    #[serde(default)]
    pub id: String,
    /// Constant tag, always `chat.completion.chunk`.
    #[serde(default = "chunk")]
    pub object: String,
    /// Seconds since the epoch.
    #[serde(default)]
    pub created: i64,
    /// The model that answers.
    #[serde(default)]
    pub model: String,
    /// What is new; empty in the chunk that brings the token counts.
    #[serde(default)]
    pub choices: Vec<ChunkChoice>,
    /// Token counts of the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ChatUsage>,
    /// The answer failed on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ChatError>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is new in one answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// Number of the answer, from 0.
    #[serde(default)]
    pub index: usize,
    /// Piece to append to the answer.
    #[serde(default)]
    pub delta: ChatDelta,
    /// Why the answer ended.
    #[serde(default)]
    pub finish_reason: Option<FinishReason>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A piece to append to an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatDelta {
    /// `assistant`, in the first chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Text to append.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Text by which the model declines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Reasoning, as several compatible servers report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same, under the name that other servers give it; some send both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Reasoning in pieces, some of which only their maker reads.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub reasoning_details: Vec<Value>,
    /// Pieces of function calls.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub tool_calls: Vec<ToolCallDelta>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A piece of a function call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCallDelta {
    /// Which call of the answer.
    #[serde(default)]
    pub index: usize,
    /// Names the call, in its first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Kind of the call, in its first piece.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ToolCallKind>,
    /// Piece of the function's name or arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionDelta>,
    /// Piece of a free-text tool's name or input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomDelta>,
}

/// A piece of a function's name and arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDelta {
    /// The name, in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the arguments' JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// A piece of a free-text tool's name and input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomDelta {
    /// The name, in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

/// Token counts of one call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatUsage {
    /// Tokens read, cached ones included.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Tokens read and answered together.
    #[serde(default)]
    pub total_tokens: u64,
    /// Of those read, which were special.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptTokensDetails>,
    /// Of those answered, which were special.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionTokensDetails>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Of the tokens read, which were special.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Read from the prompt cache.
    #[serde(default)]
    pub cached_tokens: Option<u64>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Of the tokens answered, which were special.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompletionTokensDetails {
    /// Spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatErrorBody {
    /// Message and kind of the failure.
    pub error: ChatError,
}

/// Message and kind of a failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatError {
    /// Message for people to read.
    pub message: String,
    /// Stable word for the kind of failure.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// The parameter at fault.
    #[serde(default)]
    pub param: Option<String>,
    /// A stable word or, from some servers, a status number.
    #[serde(default)]
    pub code: Option<Value>,
}

fn completion() -> String {
    "chat.completion".to_owned()
}

fn chunk() -> String {
    "chat.completion.chunk".to_owned()
}
