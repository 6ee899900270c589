//! `write`: a whole file.

use std::fs;
use std::io;

use serde::Deserialize;
use serde_json::{Value, json};

use super::read::FILE_BYTES_MAX;
use super::{ToolError, Toolbox, change, object};

pub(super) const DESCRIPTION: &str =
    "Writes a whole file of the workspace, replacing what is there. Missing folders are made.";

/// Its input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    path: String,
    content: String,
}

pub(super) fn schema() -> Value {
    object(
        json!({
            "path": {"type": "string", "description": "Relative to the workspace, or absolute inside it."},
            "content": {"type": "string", "description": "The whole new text."},
        }),
        &["path", "content"],
    )
}

pub(super) async fn run(toolbox: &Toolbox, input: Input) -> Result<String, ToolError> {
    let place = toolbox.places.writable(&input.path)?;
    let path = || place.shown.clone();
    let old = match fs::metadata(&place.full) {
        Ok(meta) if !meta.is_file() => return Err(ToolError::NotAFile { path: path() }),
        // Shown as replaced, not compared.
        Ok(meta) if meta.len() > FILE_BYTES_MAX => Some(Vec::new()),
        Ok(_) => Some(fs::read(&place.full).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => {
            return Err(ToolError::Io {
                step: "look at",
                path: path(),
                source,
            });
        }
    };
    let lines = change::put(toolbox, &place, old.as_deref(), &input.content).await?;
    Ok(format!(
        "wrote `{}` (+{} −{} lines)",
        place.shown, lines.added, lines.removed
    ))
}
