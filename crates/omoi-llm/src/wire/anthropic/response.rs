//! A whole answer.

use serde::{Deserialize, Serialize};

use super::{ContentBlock, MessageRole};
use crate::wire::Extra;

/// A whole answer of `POST /v1/messages`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessagesResponse {
    /// The vendor's name for this answer.
    pub id: String,
    /// Constant tag, always `message`.
    #[serde(rename = "type", default)]
    pub kind: MessageTag,
    /// Role of the answer, always the assistant.
    pub role: MessageRole,
    /// The model that answered.
    pub model: String,
    /// Content blocks of the answer, in order.
    pub content: Vec<ContentBlock>,
    /// Why it ended; absent while a stream runs.
    pub stop_reason: Option<StopReason>,
    /// The text that ended it.
    pub stop_sequence: Option<String>,
    /// More about the reason, where the model declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_details: Option<StopDetails>,
    /// What it cost in tokens.
    pub usage: TokenUsage,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// More about the reason for the end of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StopDetails {
    /// Why the model declined, in its vendor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The constant `"message"` in the field `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageTag {
    /// The only value of the tag.
    #[default]
    Message,
}

open_words! {
    /// Why an answer ended.
    pub enum StopReason {
        /// The model was done.
        EndTurn = "end_turn",
        /// The limit `max_tokens` was reached.
        MaxTokens = "max_tokens",
        /// One of `stop_sequences` came up.
        StopSequence = "stop_sequence",
        /// The model waits for tool results.
        ToolUse = "tool_use",
        /// The vendor paused a long turn; send it back to go on.
        PauseTurn = "pause_turn",
        /// The model declined to answer.
        Refusal = "refusal",
    }
}

/// Token counts; a stream reports them in parts, each part replacing the one before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens read at full price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens written to the prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation_input_tokens: Option<u64>,
    /// The same, by how long the cache keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation: Option<CacheCreation>,
    /// Tokens read from the prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Tokens written to the prompt cache, by how long it keeps them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheCreation {
    /// Tokens written to the cache for five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_5m_input_tokens: Option<u64>,
    /// Tokens written to the cache for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_1h_input_tokens: Option<u64>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl TokenUsage {
    /// All tokens that the model read, from its cache or not; none where it did not say.
    pub fn read_tokens(&self) -> Option<u64> {
        let cached = [
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
        ];
        let cached = cached.into_iter().flatten().fold(0, u64::saturating_add);
        self.input_tokens.map(|fresh| fresh.saturating_add(cached))
    }

    /// Takes over every figure that `newer` names.
    pub fn merge(&mut self, newer: &Self) {
        let take = |old: &mut Option<u64>, new: Option<u64>| *old = new.or(*old);
        take(&mut self.input_tokens, newer.input_tokens);
        take(
            &mut self.cache_creation_input_tokens,
            newer.cache_creation_input_tokens,
        );
        take(
            &mut self.cache_read_input_tokens,
            newer.cache_read_input_tokens,
        );
        if newer.cache_creation.is_some() {
            self.cache_creation.clone_from(&newer.cache_creation);
        }
        take(&mut self.output_tokens, newer.output_tokens);
        for (key, value) in &newer.extra {
            self.extra.insert(key.clone(), value.clone());
        }
    }
}
