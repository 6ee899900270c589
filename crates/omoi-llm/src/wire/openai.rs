//! OpenAI chat completions: request, response, stream chunks, errors.

mod answer;
mod error_code;
mod tool;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::answer::*;
pub(crate) use self::error_code::{NO_CREDIT, code_of_status, status_of_code};
pub use self::tool::*;
use super::{Extra, null_as_default};

/// The `data:` line that ends a stream.
pub const DONE: &str = "[DONE]";

/// A request to `POST /chat/completions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// Model to ask, by name.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Functions the model may call.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub tools: Vec<ChatTool>,
    /// Whether and which function must be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ChatToolChoice>,
    /// More than one call in an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// Most tokens of the answer; what compatible servers read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Most tokens of the answer, reasoning included; what OpenAI itself reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// Randomness of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: share of probability considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopTexts>,
    /// Answer as server-sent events.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "null_as_default"
    )]
    pub stream: bool,
    /// What a stream reports besides words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Shape of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// An opaque name of the end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One text or several that end the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StopTexts {
    /// A single text that ends the answer.
    One(String),
    /// Several texts, each of which ends the answer.
    Many(Vec<String>),
}

/// What a stream reports besides words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamOptions {
    /// A last chunk with token counts.
    #[serde(default)]
    pub include_usage: bool,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum ChatMessage {
    /// Instructions ahead of the conversation.
    System(TextMessage),
    /// Instructions under the role's newer name.
    Developer(TextMessage),
    /// The person or program that asks.
    User(TextMessage),
    /// An answer of the model.
    Assistant(AssistantMessage),
    /// What a function gave.
    Tool(ToolMessage),
}

/// A message that only says something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextMessage {
    /// Text of the message, or its parts.
    pub content: ChatContent,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl TextMessage {
    /// A message that says `content`.
    pub fn new(content: impl Into<ChatContent>) -> Self {
        Self {
            content: content.into(),
            extra: Extra::new(),
        }
    }
}

/// What the model said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssistantMessage {
    /// Words; null when it only calls functions.
    #[serde(default)]
    pub content: Option<ChatContent>,
    /// Why the model declined to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Reasoning, as several compatible servers report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same, under the name that other servers give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Reasoning in pieces, some of which only their maker reads.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub reasoning_details: Vec<Value>,
    /// Calls of functions that the model asks for.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub tool_calls: Vec<ToolCall>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a function gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolMessage {
    /// Result of the function call, as text.
    pub content: ChatContent,
    /// The call this answers.
    pub tool_call_id: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Plain text, or a list of parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of content parts")]
pub enum ChatContent {
    /// Plain text of a message.
    Text(String),
    /// The parts in order.
    Parts(Vec<ChatPart>),
}

impl ChatContent {
    /// All words of it.
    pub fn joined_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    ChatPart::Text(part) => Some(part.text.as_str()),
                    ChatPart::Refusal(part) => Some(part.refusal.as_str()),
                    ChatPart::ImageUrl(_) | ChatPart::File(_) | ChatPart::Other(_) => None,
                })
                .collect::<Vec<_>>()
                .join("\n\n"),
        }
    }
}

impl From<String> for ChatContent {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for ChatContent {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

open_enum! {
    /// One part of a message.
    pub enum ChatPart {
        /// A piece of text.
        Text(TextPart) = "text",
        /// Text by which the model declined.
        Refusal(RefusalPart) = "refusal",
        /// A picture, by its URL.
        ImageUrl(ImageUrlPart) = "image_url",
        /// A file, such as a PDF document.
        File(FilePart) = "file",
    }
}

/// A part of a message that is text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextPart {
    /// Text of the part.
    pub text: String,
}

/// A part of a message by which the model declined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusalPart {
    /// Text of the refusal.
    pub refusal: String,
}

/// A part of a message that is a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilePart {
    /// Name and bytes of the file.
    pub file: FileData,
}

/// Name and bytes of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileData {
    /// Name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Its bytes as a `data:` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A part of a message that is a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageUrlPart {
    /// URL of the picture.
    pub image_url: ImageUrl,
}

/// Where a picture is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageUrl {
    /// An address, or a `data:` URL with the bytes.
    pub url: String,
    /// How closely to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Shape of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Free text, the default.
    Text,
    /// A JSON object of any shape.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema and its name.
        json_schema: JsonSchemaFormat,
    },
}

/// A JSON schema with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JsonSchemaFormat {
    /// Letters, digits, `_` and `-`.
    pub name: String,
    /// JSON schema of the answer.
    pub schema: Value,
    /// The vendor enforces it, which bars parts of the schema language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
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

    fn round_trip<T: Serialize + for<'de> Deserialize<'de>>(wire: Value) {
        let typed: T = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), wire);
    }

    #[test]
    fn requests_keep_what_they_do_not_know() {
        round_trip::<ChatRequest>(json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "developer", "content": "d"},
                {"role": "user", "name": "bob", "content": [
                    {"type": "text", "text": "t"},
                    {"type": "image_url", "image_url": {"url": "data:,"}},
                    {"type": "input_audio", "input_audio": {"data": ""}}]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":"}}]},
                {"role": "tool", "content": "r", "tool_call_id": "c"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}, "strict": true}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": false, "max_tokens": 4, "stop": ["x"], "stream": true,
            "stream_options": {"include_usage": true},
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
            "seed": 3,
        }));
        let message = json!({"role": "tool", "content": "r"});
        assert!(
            serde_json::from_value::<ChatMessage>(message)
                .unwrap_err()
                .to_string()
                .contains("tool_call_id")
        );
    }

    #[test]
    fn answers_and_chunks_round_trip_and_tolerate_gaps() {
        round_trip::<ChatResponse>(json!({
            "id": "i", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop", "logprobs": null}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}},
            "system_fingerprint": "f",
        }));
        round_trip::<ChatChunk>(json!({
            "id": "i", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [
                {"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]}, "finish_reason": null}],
        }));
        let bare: ChatChunk = serde_json::from_value(
            json!({"choices": [{"delta": {"content": "x", "tool_calls": null}}], "usage": null}),
        )
        .unwrap();
        assert_eq!(bare.choices[0].delta.content.as_deref(), Some("x"));
    }
}
