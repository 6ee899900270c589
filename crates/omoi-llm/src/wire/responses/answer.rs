//! Whole answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ResponsesItem;
use crate::wire::{Extra, null_as_default};

/// A whole answer of `POST /responses`, or its state at one event of the stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResponsesAnswer {
    /// The vendor's name for this answer.
    #[serde(default)]
    pub id: String,
    /// Constant tag, always `response`.
    #[serde(default = "response_tag")]
    pub object: String,
    /// Seconds since the epoch.
    #[serde(default)]
    pub created_at: Value,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The model that answers.
    #[serde(default)]
    pub model: String,
    /// Items of the answer, in order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub output: Vec<ResponsesItem>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<AnswerFault>,
    /// Why it is incomplete.
    #[serde(default)]
    pub incomplete_details: Option<IncompleteDetails>,
    /// Token counts, once the answer ended.
    #[serde(default)]
    pub usage: Option<ResponsesUsage>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Why an answer failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerFault {
    /// A stable word such as `rate_limit_exceeded`.
    #[serde(default)]
    pub code: Option<String>,
    /// Message for people to read.
    #[serde(default)]
    pub message: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Why an answer is incomplete.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IncompleteDetails {
    /// A stable word such as `max_output_tokens`.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Token counts of one answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResponsesUsage {
    /// Tokens read, cached ones included.
    #[serde(default)]
    pub input_tokens: u64,
    /// Of those read, which were special.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input_tokens_details: InputTokensDetails,
    /// Tokens of the answer, reasoning included.
    #[serde(default)]
    pub output_tokens: u64,
    /// Of those answered, which were special.
    #[serde(default, deserialize_with = "null_as_default")]
    pub output_tokens_details: OutputTokensDetails,
    /// Tokens read and answered together.
    #[serde(default)]
    pub total_tokens: u64,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Of the tokens read, which were special.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputTokensDetails {
    /// Read from the prompt cache.
    #[serde(default, deserialize_with = "null_as_default")]
    pub cached_tokens: u64,
    /// Written to the prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Of the tokens answered, which were special.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputTokensDetails {
    /// Spent on reasoning.
    #[serde(default, deserialize_with = "null_as_default")]
    pub reasoning_tokens: u64,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

fn response_tag() -> String {
    "response".to_owned()
}
