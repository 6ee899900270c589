//! `edit`: replace text in a file.

use serde::Deserialize;
use serde_json::{Value, json};

use super::read::read_text_file;
use super::{AgentTools, ToolError, file_change, object_schema};

pub(super) const DESCRIPTION: &str = "Replaces `old` by `new` in a text file of the workspace. `old` must be the \
    exact text, blanks included, and occur once, unless `replace_all` is set.";

/// Input of the tool `edit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditInput {
    path: String,
    old: String,
    new: String,
    #[serde(default)]
    replace_all: bool,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "path": {"type": "string", "description": "Relative to the workspace, or absolute inside it."},
            "old": {"type": "string", "description": "The text to replace."},
            "new": {"type": "string", "description": "What takes its place."},
            "replace_all": {"type": "boolean", "description": "Replace every occurrence."},
        }),
        &["path", "old", "new"],
    )
}

pub(super) async fn run(tools: &AgentTools, input: EditInput) -> Result<String, ToolError> {
    if input.old.is_empty() {
        return Err(ToolError::EmptyOld);
    }
    if input.old == input.new {
        return Err(ToolError::Equal);
    }
    let target = tools.paths.resolve_writable(&input.path)?;
    let bytes = read_text_file(&target)?;
    let path = || target.display_path.clone();
    // Bytes that are no text would be lost on the way back.
    let text = std::str::from_utf8(&bytes).map_err(|_| ToolError::Binary {
        path: path(),
        bytes: bytes.len() as u64,
    })?;
    let count = text.matches(&input.old).count();
    match count {
        0 => return Err(ToolError::NotFound { path: path() }),
        2.. if !input.replace_all => {
            return Err(ToolError::NotUnique {
                path: path(),
                count,
            });
        }
        _ => {}
    }
    let new = text.replace(&input.old, &input.new);
    let lines = file_change::write_change(tools, &target, Some(&bytes), &new).await?;
    Ok(format!(
        "edited `{}` in {count} place{} (+{} −{} lines)",
        target.display_path,
        if count == 1 { "" } else { "s" },
        lines.added,
        lines.removed
    ))
}
