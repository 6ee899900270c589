//! Tools and the choice among them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::Extra;

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessagesTool {
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

impl MessagesTool {
    /// Whether the caller runs it, not the vendor.
    pub fn is_custom(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "custom")
    }

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
    /// The model decides whether to call a tool.
    Auto {
        /// At most one call in an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
    /// Some tool must be called.
    Any {
        /// At most one call in an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
    /// The named tool must be called.
    Tool {
        /// Name of the tool to call.
        name: String,
        /// At most one call in an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
    /// No tool may be called.
    None {},
}
