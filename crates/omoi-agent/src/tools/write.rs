//! `write`: a whole file.

use std::{fs, io};

use serde::Deserialize;
use serde_json::{Value, json};

use super::read::FILE_BYTES_MAX;
use super::{AgentTools, ToolError, file_change, object_schema};

pub(super) const DESCRIPTION: &str =
    "Writes a whole file of the workspace, replacing what is there. Missing folders are made.";

/// Input of the tool `write`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteInput {
    path: String,
    content: String,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "path": {"type": "string", "description": "Relative to the workspace, or absolute inside it."},
            "content": {"type": "string", "description": "The whole new text."},
        }),
        &["path", "content"],
    )
}

pub(super) async fn run(tools: &AgentTools, input: WriteInput) -> Result<String, ToolError> {
    let target = tools.paths.resolve_writable(&input.path)?;
    let path = || target.display_path.clone();
    let old = match fs::metadata(&target.real_path) {
        Ok(meta) if !meta.is_file() => return Err(ToolError::NotAFile { path: path() }),
        // Shown as replaced, not compared.
        Ok(meta) if meta.len() > FILE_BYTES_MAX => Some(Vec::new()),
        Ok(_) => Some(fs::read(&target.real_path).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => {
            return Err(ToolError::Io {
                step: "look at",
                path: path(),
                source,
            });
        }
    };
    let lines = file_change::write_change(tools, &target, old.as_deref(), &input.content).await?;
    Ok(format!(
        "wrote `{}` (+{} −{} lines)",
        target.display_path, lines.added, lines.removed
    ))
}
