//! The OpenAI Responses API: request, items, stream events, answers.
//!
//! An item of the input may leave out its `type` where it is a message; it is written back with one.

mod answer;
mod event;
mod item;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use self::answer::*;
pub use self::event::*;
pub use self::item::*;
use super::openai::ToolMode;
use super::{Extra, null_as_default};

/// The entry of `include` that asks for reasoning in a form that can be sent back.
pub const ENCRYPTED_REASONING: &str = "reasoning.encrypted_content";

/// A request to `POST /responses`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResponsesRequest {
    /// Model to ask, by name.
    #[serde(default)]
    pub model: String,
    /// Instructions ahead of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The conversation, oldest first.
    #[serde(default)]
    pub input: ResponsesInput,
    /// Tools the model may call.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub tools: Vec<ResponsesTool>,
    /// Whether and which tool must be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ResponsesToolChoice>,
    /// More than one call in an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// Most tokens of the answer, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Randomness of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: share of probability considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// How much to think, and what to show of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<ReasoningConfig>,
    /// Shape of the answer's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// Answer as server-sent events.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "null_as_default"
    )]
    pub stream: bool,
    /// Whether the vendor keeps the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// What the answer shows beyond the usual.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub include: Vec<String>,
    /// Requests with one key share a prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    /// An opaque name of the end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// An answer that the vendor keeps and that this request continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_response_id: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Plain text, or a list of items.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ResponsesInput {
    /// Short for one message of the user.
    Text(String),
    /// The items in order.
    Items(Vec<ResponsesItem>),
}

impl Default for ResponsesInput {
    fn default() -> Self {
        Self::Items(Vec::new())
    }
}

impl<'de> Deserialize<'de> for ResponsesInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::default()),
            Value::String(text) => Ok(Self::Text(text)),
            Value::Array(items) => items
                .into_iter()
                .map(|item| serde_json::from_value(with_item_type(item)).map_err(D::Error::custom))
                .collect::<Result<_, _>>()
                .map(Self::Items),
            _ => Err(D::Error::custom("expected a string or a list of items")),
        }
    }
}

/// A message may leave its type out.
fn with_item_type(mut item: Value) -> Value {
    if let Value::Object(map) = &mut item
        && map.contains_key("role")
        && !map.contains_key("type")
    {
        map.insert("type".to_owned(), Value::from("message"));
    }
    item
}

/// How much to think, and what to show of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReasoningConfig {
    /// A word such as `medium`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Whether to show a summary, and how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Shape of the answer's text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// The format the text must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TextFormat>,
    /// How many words to make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// The format the answer's text must have.
    pub enum TextFormat {
        /// Free text, the default.
        Text(Extra) = "text",
        /// A JSON object of any shape.
        JsonObject(Extra) = "json_object",
        /// JSON that fits a schema.
        JsonSchema(TextSchema) = "json_schema",
    }
}

/// A JSON schema with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextSchema {
    /// Letters, digits, `_` and `-`.
    pub name: String,
    /// JSON schema of the answer.
    pub schema: Value,
    /// The vendor enforces it, which bars parts of the schema language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// A tool the model may call.
    pub enum ResponsesTool {
        /// A function with a JSON schema.
        Function(ResponsesFunction) = "function",
        /// A tool whose input is free text.
        Custom(CustomTool) = "custom",
        /// Tools that belong together; a call names the group beside the tool.
        Namespace(ToolNamespace) = "namespace",
    }
}

/// A function the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponsesFunction {
    /// The name the model calls it by.
    pub name: String,
    /// What it does and when to use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// The vendor enforces the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A tool whose input is free text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomTool {
    /// The name the model calls it by.
    pub name: String,
    /// What it does and when to use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The grammar that the input must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Value>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Tools that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolNamespace {
    /// Name of the group.
    pub name: String,
    /// What its tools have in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The tools of the group.
    pub tools: Vec<ResponsesTool>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whether and which tool must be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ResponsesToolChoice {
    /// `none`, `auto` or `required`.
    Mode(ToolMode),
    /// One tool, or a list of those allowed.
    Named(NamedToolChoice),
}

/// One tool, by its name, or another way to narrow the choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedToolChoice {
    /// Kind of the tool or of the choice.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Group of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}
