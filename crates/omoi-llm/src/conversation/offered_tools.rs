//! Tools that a model may call, and their names.

use serde_json::Value;

use super::CacheLife;

/// Name of a tool, with the group it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToolName {
    /// Group of the tool, in the dialect that has groups.
    pub namespace: Option<String>,
    /// Name within the group.
    pub name: String,
}

impl ToolName {
    /// A tool that belongs to no group.
    pub fn without_group(name: impl Into<String>) -> Self {
        Self {
            namespace: None,
            name: name.into(),
        }
    }
}

/// What a tool is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolCallInput {
    /// JSON text, as the model wrote it: it may not parse.
    Json(String),
    /// Free text.
    Freeform(String),
}

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationTool {
    /// The name the model calls it by.
    pub name: ToolName,
    /// What it does and when to use it.
    pub description: Option<String>,
    /// What it is given.
    pub input: ToolInput,
    /// Everything up to here is kept in the prompt cache.
    pub cache: Option<CacheLife>,
}

/// What a tool is given.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolInput {
    /// An object that fits a JSON schema.
    Object {
        /// JSON schema of the arguments.
        schema: Option<Value>,
        /// The vendor enforces it.
        strict: Option<bool>,
    },
    /// Free text.
    Freeform {
        /// The grammar that the text must fit.
        format: Option<Value>,
    },
}

/// Whether and which tool must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallChoice {
    /// The model decides.
    Free,
    /// Some tool must be called.
    Required,
    /// No tool may be called.
    Forbidden,
    /// This tool must be called.
    Tool(ToolName),
}

impl ConversationTool {
    /// The schema by which a dialect without free text offers this tool.
    pub(crate) fn freeform_schema(&self) -> Value {
        serde_json::json!({
            "type": "object",
            "properties": {"input": {"type": "string", "description": "The tool's whole input."}},
            "required": ["input"],
            "additionalProperties": false,
        })
    }

    /// The description there: it tells the grammar that the vendor would have enforced.
    pub(crate) fn freeform_description(&self) -> String {
        let mut text = self.description.clone().unwrap_or_default();
        text.push_str("\n\nGive the whole input as the string `input`.");
        if let ToolInput::Freeform { format } = &self.input
            && let Some(grammar) = format.as_ref().and_then(|f| f.get("definition")?.as_str())
        {
            text.push_str(&format!(" It must fit this grammar:\n\n{grammar}"));
        }
        text
    }
}
