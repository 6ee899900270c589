//! The Anthropic Messages API: request, response, stream events, errors.

use std::fmt;

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

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
    pub system: Option<Content>,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether and which tool must be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Answer as server-sent events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// Randomness of the answer, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling.
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
    pub metadata: Option<Metadata>,
    /// Shape of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl MessagesRequest {
    /// A request with only what the API demands.
    pub fn new(model: impl Into<String>, max_tokens: u32, messages: Vec<Message>) -> Self {
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
    pub fn turn(&self) -> usize {
        self.messages
            .iter()
            .filter(|m| m.role == Role::Assistant)
            .count()
    }
}

/// Who said a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: Content,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Message {
    /// A message from the user.
    pub fn user(content: impl Into<Content>) -> Self {
        Self::of(Role::User, content)
    }

    /// A message from the model.
    pub fn assistant(content: impl Into<Content>) -> Self {
        Self::of(Role::Assistant, content)
    }

    fn of(role: Role, content: impl Into<Content>) -> Self {
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
pub enum Content {
    /// Short for one text block.
    Text(String),
    /// The blocks in order.
    Blocks(Vec<ContentBlock>),
}

impl Content {
    /// The blocks, a plain text as one text block.
    pub fn into_blocks(self) -> Vec<ContentBlock> {
        match self {
            Self::Text(text) => vec![ContentBlock::text(text)],
            Self::Blocks(blocks) => blocks,
        }
    }

    /// The text of all text blocks, joined by blank lines.
    pub fn text(&self) -> String {
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

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<ContentBlock>> for Content {
    fn from(blocks: Vec<ContentBlock>) -> Self {
        Self::Blocks(blocks)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrBlocks;
        impl<'de> Visitor<'de> for StringOrBlocks {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of content blocks")
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::from(text))
            }
            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::from(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Content, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Content::Blocks)
            }
        }
        deserializer.deserialize_any(StringOrBlocks)
    }
}

open_enum! {
    /// One piece of a message.
    pub enum ContentBlock {
        /// Words.
        Text(TextBlock) = "text",
        /// The model asks for a tool to be run.
        ToolUse(ToolUseBlock) = "tool_use",
        /// What the tool gave.
        ToolResult(ToolResultBlock) = "tool_result",
        /// The model's reasoning, signed by the vendor.
        Thinking(ThinkingBlock) = "thinking",
        /// Reasoning that only the vendor can read.
        RedactedThinking(RedactedThinkingBlock) = "redacted_thinking",
        /// A picture.
        Image(ImageBlock) = "image",
    }
}

impl ContentBlock {
    /// A block of words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextBlock {
            text: text.into(),
            extra: Extra::new(),
        })
    }

    /// A request to run tool `name`.
    pub fn tool_use(id: impl Into<String>, name: impl Into<String>, input: Value) -> Self {
        Self::ToolUse(ToolUseBlock {
            id: id.into(),
            name: name.into(),
            input,
            extra: Extra::new(),
        })
    }

    /// What the tool call `tool_use_id` gave.
    pub fn tool_result(
        tool_use_id: impl Into<String>,
        content: impl Into<Content>,
        is_error: bool,
    ) -> Self {
        Self::ToolResult(ToolResultBlock {
            tool_use_id: tool_use_id.into(),
            content: Some(content.into()),
            is_error: is_error.then_some(true),
            extra: Extra::new(),
        })
    }

    /// The words of a text block.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(block) => Some(&block.text),
            _ => None,
        }
    }
}

/// Words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextBlock {
    /// The words.
    pub text: String,
    /// `cache_control`, `citations` and whatever comes.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The model asks for a tool to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolUseBlock {
    /// Names the call; the result refers to it.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// Its arguments; an object, as the tool's schema says.
    pub input: Value,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResultBlock {
    /// The call this answers.
    pub tool_use_id: String,
    /// The outcome; absent when the tool says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The tool failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The model's reasoning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThinkingBlock {
    /// The reasoning.
    pub thinking: String,
    /// The vendor's proof that it was not changed; must go back as it came.
    #[serde(default)]
    pub signature: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Reasoning that only the vendor can read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RedactedThinkingBlock {
    /// The sealed reasoning.
    pub data: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageBlock {
    /// Where its bytes are.
    pub source: ImageSource,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// Where the bytes of a picture are.
    pub enum ImageSource {
        /// In the request itself.
        Base64(Base64Source) = "base64",
        /// Behind a URL.
        Url(UrlSource) = "url",
    }
}

/// Bytes inside the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Base64Source {
    /// For example `image/png`.
    pub media_type: String,
    /// The bytes, base64.
    pub data: String,
}

/// Bytes behind a URL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UrlSource {
    /// The address.
    pub url: String,
}

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Absent or `custom` for tools the caller runs; other kinds are run by the vendor.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name the model calls it by.
    pub name: String,
    /// What it does and when to use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of its arguments; absent for tools the vendor runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// `cache_control` and whatever comes.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Tool {
    /// A tool that the caller runs.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        input_schema: Value,
    ) -> Self {
        Self {
            kind: None,
            name: name.into(),
            description: Some(description.into()),
            input_schema: Some(input_schema),
            extra: Extra::new(),
        }
    }
}

/// Whether and which tool must be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    Auto {
        /// At most one call in an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
    /// Some tool.
    Any {
        /// At most one call in an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
    /// This tool.
    Tool {
        /// Its name.
        name: String,
        /// At most one call in an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
    /// No tool.
    None {},
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
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
        /// The schema.
        schema: Value,
    },
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessagesResponse {
    /// The vendor's name for this answer.
    pub id: String,
    /// Always `message`.
    #[serde(rename = "type", default)]
    pub kind: MessageTag,
    /// Always the assistant.
    pub role: Role,
    /// The model that answered.
    pub model: String,
    /// The answer.
    pub content: Vec<ContentBlock>,
    /// Why it ended; absent while a stream runs.
    pub stop_reason: Option<StopReason>,
    /// The text that ended it.
    pub stop_sequence: Option<String>,
    /// What it cost in tokens.
    pub usage: TokenUsage,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The constant `"message"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageTag {
    /// The only value.
    #[default]
    Message,
}

open_words! {
    /// Why an answer ended.
    pub enum StopReason {
        /// The model was done.
        EndTurn = "end_turn",
        /// `max_tokens` was reached.
        MaxTokens = "max_tokens",
        /// One of `stop_sequences` came up.
        StopSequence = "stop_sequence",
        /// The model waits for tool results.
        ToolUse = "tool_use",
        /// The vendor paused a long turn; send it back to go on.
        PauseTurn = "pause_turn",
        /// The model declined.
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
    /// Tokens read from the prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_input_tokens: Option<u64>,
    /// Tokens answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl TokenUsage {
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
        take(&mut self.output_tokens, newer.output_tokens);
        for (key, value) in &newer.extra {
            self.extra.insert(key.clone(), value.clone());
        }
    }
}

open_enum! {
    /// One event of a streamed answer.
    pub enum StreamEvent {
        /// The answer begins; its content is still empty.
        MessageStart(MessageStart) = "message_start",
        /// A block begins.
        ContentBlockStart(ContentBlockStart) = "content_block_start",
        /// A block grows.
        ContentBlockDelta(ContentBlockDelta) = "content_block_delta",
        /// A block is whole.
        ContentBlockStop(ContentBlockStop) = "content_block_stop",
        /// Why the answer ends, and what it cost.
        MessageDelta(MessageDelta) = "message_delta",
        /// The answer is whole; a stream without it was cut.
        MessageStop(Bare) = "message_stop",
        /// Keeps the connection alive.
        Ping(Bare) = "ping",
        /// The answer failed on the way.
        Error(StreamError) = "error",
    }
}

/// The answer begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageStart {
    /// The answer so far: no content, opening token counts.
    pub message: MessagesResponse,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A block begins.
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

/// A block grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContentBlockDelta {
    /// Position of the block in the answer.
    pub index: usize,
    /// What to append.
    pub delta: Delta,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// What to append to a block.
    pub enum Delta {
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

/// More words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextDelta {
    /// The words.
    pub text: String,
}

/// More of a tool call's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputJsonDelta {
    /// A piece of JSON text; only all pieces together parse.
    pub partial_json: String,
}

/// More reasoning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThinkingDelta {
    /// The reasoning.
    pub thinking: String,
}

/// More of a signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignatureDelta {
    /// The piece.
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
    /// Why it ended.
    #[serde(default)]
    pub stop_reason: Option<StopReason>,
    /// The text that ended it.
    #[serde(default)]
    pub stop_sequence: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An event that says all by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bare {
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The answer failed on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamError {
    /// What failed.
    pub error: ErrorDetail,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Always `error`.
    #[serde(rename = "type", default)]
    pub kind: ErrorTag,
    /// What failed.
    pub error: ErrorDetail,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ErrorBody {
    /// An error of `kind` with a message for people.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: ErrorTag::Error,
            error: ErrorDetail {
                kind: kind.into(),
                message: message.into(),
                extra: Extra::new(),
            },
            extra: Extra::new(),
        }
    }
}

/// The constant `"error"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorTag {
    /// The only value.
    #[default]
    Error,
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A stable word such as `overloaded_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    pub message: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The status that stands for error kind `kind`, as the vendor's table pairs them.
///
/// A stream reports a failure inside a 200 answer; this gives back the status it would have had.
pub fn status_of_error(kind: &str) -> Option<u16> {
    ERRORS.iter().find(|(_, k)| *k == kind).map(|(s, _)| *s)
}

/// The error kind that goes with `status`.
pub fn error_of_status(status: u16) -> &'static str {
    let exact = ERRORS.iter().find(|(s, _)| *s == status).map(|(_, k)| *k);
    match status {
        _ if exact.is_some() => exact.unwrap_or_default(),
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

const ERRORS: [(u16, &str); 10] = [
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
];

/// A request to `POST /v1/messages/count_tokens`: a message request that asks for no answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountTokensRequest {
    /// Model name, or at the gateway the name of a route.
    pub model: String,
    /// Instructions ahead of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Content>,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The answer to a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountTokensResponse {
    /// Tokens the request would read.
    pub input_tokens: u64,
}

/// The answer to `GET /v1/models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelList {
    /// The models.
    pub data: Vec<ModelInfo>,
    /// More pages follow.
    pub has_more: bool,
    /// First id of this page.
    pub first_id: Option<String>,
    /// Last id of this page.
    pub last_id: Option<String>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Always `model`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name to ask for.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// RFC 3339.
    pub created_at: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
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
            serde_json::from_value::<Message>(json!({"role": "user", "content": 3})).unwrap_err();
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
