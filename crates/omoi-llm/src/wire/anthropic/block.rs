//! The pieces of a message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::MessageContent;
use crate::wire::Extra;

open_enum! {
    /// One piece of a message.
    pub enum ContentBlock {
        /// Text of a message.
        Text(TextBlock) = "text",
        /// The model asks for a tool to be run.
        ToolUse(ToolUseBlock) = "tool_use",
        /// What the tool gave.
        ToolResult(ToolResultBlock) = "tool_result",
        /// The model's reasoning, signed by the vendor.
        Thinking(ThinkingBlock) = "thinking",
        /// Reasoning that only the vendor can read.
        RedactedThinking(RedactedThinkingBlock) = "redacted_thinking",
        /// A picture: base64 bytes or a URL.
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
        content: impl Into<MessageContent>,
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

/// A content block of text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextBlock {
    /// Text of the block.
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
    /// Name of the tool to call.
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
    pub content: Option<MessageContent>,
    /// Whether the tool failed; absent means no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The model's reasoning, with the vendor's signature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThinkingBlock {
    /// Text of the reasoning.
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
    /// Reasoning encrypted by the vendor.
    pub data: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A content block that is a picture.
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
        /// A picture behind a URL.
        Url(UrlSource) = "url",
    }
}

/// Bytes inside the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Base64Source {
    /// Media type, for example `image/png`.
    pub media_type: String,
    /// Bytes of the picture in base64.
    pub data: String,
}

/// Bytes behind a URL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UrlSource {
    /// Address of the picture.
    pub url: String,
}
