//! The pieces of a message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Content;
use crate::wire::Extra;

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
