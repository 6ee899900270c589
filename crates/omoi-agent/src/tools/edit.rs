//! `edit`: replace text in a file.

use serde::Deserialize;
use serde_json::{Value, json};

use super::read::text_file;
use super::{ToolError, Toolbox, change, object};

pub(super) const DESCRIPTION: &str = "Replaces `old` by `new` in a text file of the workspace. `old` must be the \
    exact text, blanks included, and occur once, unless `replace_all` is set.";

/// Its input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    path: String,
    old: String,
    new: String,
    #[serde(default)]
    replace_all: bool,
}

pub(super) fn schema() -> Value {
    object(
        json!({
            "path": {"type": "string", "description": "Relative to the workspace, or absolute inside it."},
            "old": {"type": "string", "description": "The text to replace."},
            "new": {"type": "string", "description": "What takes its place."},
            "replace_all": {"type": "boolean", "description": "Replace every occurrence."},
        }),
        &["path", "old", "new"],
    )
}

pub(super) async fn run(toolbox: &Toolbox, input: Input) -> Result<String, ToolError> {
    if input.old.is_empty() {
        return Err(ToolError::EmptyOld);
    }
    if input.old == input.new {
        return Err(ToolError::Equal);
    }
    let place = toolbox.places.writable(&input.path)?;
    let bytes = text_file(&place)?;
    let path = || place.shown.clone();
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
    let lines = change::put(toolbox, &place, Some(&bytes), &new).await?;
    Ok(format!(
        "edited `{}` in {count} place{} (+{} −{} lines)",
        place.shown,
        if count == 1 { "" } else { "s" },
        lines.added,
        lines.removed
    ))
}
