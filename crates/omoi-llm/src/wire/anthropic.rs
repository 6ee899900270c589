//! The Anthropic Messages API: request, response, stream events, errors.

mod block;
mod error;
mod event;
mod response;
mod side_routes;
mod system;
mod tool;

use std::fmt;

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use self::block::*;
pub use self::error::*;
pub use self::event::*;
pub use self::response::*;
pub use self::side_routes::*;
pub use self::tool::*;
use super::Extra;

/// The API version every request names in `anthropic-version`.
pub const VERSION: &str = "2023-06-01";

/// A request to `POST /v1/messages`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessagesRequest {
    /// Model name, or at the gateway the name of a route.
    pub model: String,
    /// Most tokens the answer may have.
    pub max_tokens: u32,
    /// Instructions ahead of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<MessageContent>,
    /// The conversation, oldest first.
    pub messages: Vec<ConversationMessage>,
    /// Tools the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<MessagesTool>,
    /// Whether and which tool must be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Answer as server-sent events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// Randomness of the answer, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: share of probability considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Sampling among the k best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    /// Who asks, for the vendor's abuse detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<RequestMetadata>,
    /// Shape of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl MessagesRequest {
    /// A request with only what the API demands.
    pub fn new(
        model: impl Into<String>,
        max_tokens: u32,
        messages: Vec<ConversationMessage>,
    ) -> Self {
        Self {
            model: model.into(),
            max_tokens,
            system: None,
            messages,
            tools: Vec::new(),
            tool_choice: None,
            stream: false,
            temperature: None,
            top_p: None,
            top_k: None,
            stop_sequences: Vec::new(),
            metadata: None,
            output_config: None,
            extra: Extra::new(),
        }
    }

    /// How many answers the conversation already holds: the number of its assistant messages.
    pub fn turn_number(&self) -> usize {
        self.messages
            .iter()
            .filter(|m| m.role == MessageRole::Assistant)
            .count()
    }
}

/// Who said a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageRole {
    /// The person or program that asks.
    User,
    /// The model's own message.
    Assistant,
    /// Instructions in the midst of the conversation, which some agent programs send.
    System,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversationMessage {
    /// Role of the sender.
    pub role: MessageRole,
    /// Text or content blocks.
    pub content: MessageContent,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ConversationMessage {
    /// A message from the user.
    pub fn from_user(content: impl Into<MessageContent>) -> Self {
        Self::with_role(MessageRole::User, content)
    }

    /// A message from the model.
    pub fn from_assistant(content: impl Into<MessageContent>) -> Self {
        Self::with_role(MessageRole::Assistant, content)
    }

    fn with_role(role: MessageRole, content: impl Into<MessageContent>) -> Self {
        Self {
            role,
            content: content.into(),
            extra: Extra::new(),
        }
    }
}

/// Plain text, or a list of blocks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum MessageContent {
    /// Short for one text block.
    Text(String),
    /// The blocks in order.
    Blocks(Vec<ContentBlock>),
}

impl MessageContent {
    /// The text of all text blocks, joined by blank lines.
    pub fn joined_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Blocks(blocks) => blocks
                .iter()
                .filter_map(ContentBlock::as_text)
                .collect::<Vec<_>>()
                .join("\n\n"),
        }
    }
}

impl From<&str> for MessageContent {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for MessageContent {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<ContentBlock>> for MessageContent {
    fn from(blocks: Vec<ContentBlock>) -> Self {
        Self::Blocks(blocks)
    }
}

impl<'de> Deserialize<'de> for MessageContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrBlocks;
        impl<'de> Visitor<'de> for StringOrBlocks {
            type Value = MessageContent;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of content blocks")
            }
            fn visit_str<E>(self, text: &str) -> Result<MessageContent, E> {
                Ok(MessageContent::from(text))
            }
            fn visit_string<E>(self, text: String) -> Result<MessageContent, E> {
                Ok(MessageContent::from(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<MessageContent, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(MessageContent::Blocks)
            }
        }
        deserializer.deserialize_any(StringOrBlocks)
    }
}

/// Who asks, as the vendor's abuse detection reads it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestMetadata {
    /// An opaque name of the end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Shape of the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputConfig {
    /// The format the answer's text must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<OutputFormat>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The format the answer's text must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputFormat {
    /// JSON that fits a schema.
    JsonSchema {
        /// JSON schema of the answer.
        schema: Value,
    },
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]
    use serde_json::json;

    use super::*;

    /// What we read and write back must be what came.
    fn round_trip<T: Serialize + for<'de> Deserialize<'de>>(wire: Value) {
        let typed: T = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), wire);
    }

    #[test]
    fn requests_keep_what_they_do_not_know() {
        round_trip::<MessagesRequest>(json!({
            "model": "agent", "max_tokens": 10, "stream": true, "temperature": 0.5,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "t", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "x"},
                    {"type": "tool_use", "id": "t1", "name": "read", "input": {"b": 1, "a": [null]}},
                    {"type": "server_tool_use", "id": "s1", "name": "web", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "is_error": true,
                     "content": [{"type": "text", "text": "no"},
                                 {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
                    {"type": "document", "source": {"type": "text", "data": "d"}}]}],
            "tools": [{"name": "read", "description": "d", "input_schema": {"type": "object"}},
                      {"type": "web_search_20250305", "name": "web", "max_uses": 3}],
            "tool_choice": {"type": "tool", "name": "read", "disable_parallel_tool_use": true},
            "metadata": {"user_id": "u"}, "output_config": {"format": {"type": "json_schema", "schema": {}}},
            "thinking": {"type": "enabled", "budget_tokens": 5}, "betas": ["x"],
        }));
    }

    #[test]
    fn every_event_round_trips() {
        let message = json!({"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1, "service_tier": "standard"}});
        for wire in [
            json!({"type": "message_start", "message": message}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": "h"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "signature_delta", "signature": "s"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "novel", "stop_sequence": null}, "usage": {"output_tokens": 7}}),
            json!({"type": "message_stop"}),
            json!({"type": "ping"}),
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
            json!({"type": "brand_new", "x": 1}),
        ] {
            round_trip::<StreamEvent>(wire);
        }
    }

    #[test]
    fn known_kinds_are_checked() {
        for (wire, says) in [
            (
                json!({"type": "tool_use", "name": "n", "input": {}}),
                "`tool_use`: missing field `id`",
            ),
            (json!({"text": "x"}), "missing field `type`"),
            (json!({"type": 3}), "`type` must be a string"),
        ] {
            let error = serde_json::from_value::<ContentBlock>(wire).unwrap_err();
            assert_eq!(error.to_string(), says);
        }
        let error =
            serde_json::from_value::<ConversationMessage>(json!({"role": "user", "content": 3}))
                .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a string or a list of content blocks"),
            "{error}"
        );
    }

    #[test]
    fn usage_parts_replace_each_other() {
        let mut usage: TokenUsage =
            serde_json::from_value(json!({"input_tokens": 9, "output_tokens": 1})).unwrap();
        usage.merge(
            &serde_json::from_value(
                json!({"output_tokens": 40, "cache_read_input_tokens": null, "x": 1}),
            )
            .unwrap(),
        );
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (Some(9), Some(40))
        );
        assert_eq!(usage.extra["x"], 1);
    }
}
