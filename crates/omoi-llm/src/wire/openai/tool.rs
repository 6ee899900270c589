//! Tools, the choice among them, and calls.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::Extra;

/// The constant `"function"` in the field `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FunctionTag {
    /// The only value of the tag.
    #[default]
    Function,
}

open_enum! {
    /// A tool the model may call.
    pub enum ChatTool {
        /// A function with a JSON schema.
        Function(ChatFunction) = "function",
        /// A tool whose input is free text.
        Custom(ChatCustomTool) = "custom",
    }
}

/// A function the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatFunction {
    /// Definition of the function: name, parameters.
    pub function: FunctionDef,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A tool whose input is free text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatCustomTool {
    /// Definition of the tool: name, grammar.
    pub custom: CustomDef,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The name and grammar of a tool whose input is free text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomDef {
    /// The name the model calls it by.
    pub name: String,
    /// What it does and when to use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The grammar that the input must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Value>,
}

/// A function's name and arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionDef {
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
}

/// Whether and which function must be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ChatToolChoice {
    /// `none`, `auto` or `required`.
    Mode(ToolMode),
    /// One function, by its name.
    Function {
        /// Constant tag, always `function`.
        #[serde(rename = "type")]
        kind: FunctionTag,
        /// Name of the function to call.
        function: FunctionName,
    },
    /// Another way to narrow the choice.
    Other(Extra),
}

/// How free the model is to call functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolMode {
    /// No function may be called.
    None,
    /// The model decides whether to call one.
    Auto,
    /// It must call one.
    Required,
}

/// A function's name alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionName {
    /// Name of the function.
    pub name: String,
}

/// The model calls a function or a tool of free text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Names the call; the result refers to it.
    #[serde(default)]
    pub id: String,
    /// Kind of the call; absent for functions at some servers.
    #[serde(rename = "type", default)]
    pub kind: ToolCallKind,
    /// Function called, with its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionCall>,
    /// Tool called, with its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomCall>,
}

/// Kind of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolCallKind {
    /// Of a function.
    #[default]
    Function,
    /// Of a tool of free text.
    Custom,
}

/// A tool of free text with its input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomCall {
    /// Name of the tool.
    pub name: String,
    /// The text.
    pub input: String,
}

/// A function with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// Name of the function.
    pub name: String,
    /// The arguments as JSON text, as the model wrote it: it may not parse.
    pub arguments: String,
}
