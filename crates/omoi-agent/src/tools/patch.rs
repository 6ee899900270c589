//! `apply_patch`, and the patch form of `edit`: every file is looked at before any is written.

use std::fmt::Write as _;
use std::fs;

use serde::Deserialize;
use serde_json::{Value, json};

use super::allowed_paths::ToolPath;
use super::file_change::LineCounts;
use super::patch_text::{FilePatch, PatchFault, PatchHunk, apply_hunks, parse_patch};
use super::read::read_text_file;
use super::{AgentTools, ToolError, file_change, object_schema};

pub(super) const DESCRIPTION: &str = "Changes text files of the workspace by a patch, all of it or nothing: \
    `*** Begin Patch`, then per file `*** Add File: PATH` with lines that begin with `+`, `*** Delete File: PATH`, or \
    `*** Update File: PATH`, which `*** Move to: PATH` may follow, with its hunks; then `*** End Patch`. A hunk begins \
    with `@@`, alone or with a line that stands above it; its lines begin with a space, `-` or `+`. Give three lines \
    around each change. Drifted indentation and line ends are bridged where one place alone fits.";

/// Input of the tool `apply_patch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchInput {
    input: String,
}

pub(super) fn input_schema() -> Value {
    let properties = json!({"input": {"type": "string", "description": "The whole patch."}});
    object_schema(properties, &["input"])
}

pub(super) async fn run(tools: &AgentTools, input: PatchInput) -> Result<String, ToolError> {
    run_patch(tools, &input.input).await
}

/// What is to become of one path.
struct PlannedChange {
    target: ToolPath,
    old: Option<Vec<u8>>,
    /// Its new text; none when it goes.
    new: Option<String>,
    /// Permissions of the file that it is moved from.
    permissions: Option<fs::Permissions>,
}

/// Makes the changes of `patch`, all or none.
pub(super) async fn run_patch(tools: &AgentTools, patch: &str) -> Result<String, ToolError> {
    let mut changes: Vec<PlannedChange> = Vec::new();
    for file in parse_patch(patch)? {
        for change in plan_file(tools, &file)? {
            let path = &change.target.real_path;
            if changes.iter().any(|other| other.target.real_path == *path) {
                let path = change.target.display_path;
                return Err(ToolError::PatchedTwice { path });
            }
            changes.push(change);
        }
    }
    let mut says = String::new();
    for (n_made, change) in changes.iter().enumerate() {
        let (verb, lines) = match make_change(tools, change).await {
            Ok(made) => made,
            Err(error) => {
                undo_changes(tools, &changes[..n_made]).await?;
                return Err(error);
            }
        };
        let _ = writeln!(
            says,
            "{verb} `{}` (+{} −{} lines)",
            change.target.display_path, lines.added, lines.removed
        );
    }
    Ok(says)
}

async fn make_change(
    tools: &AgentTools,
    change: &PlannedChange,
) -> Result<(&'static str, LineCounts), ToolError> {
    let (target, old) = (&change.target, change.old.as_deref());
    let Some(new) = &change.new else {
        let old = old.unwrap_or_default();
        return Ok((
            "removed",
            file_change::remove_file(tools, target, old).await?,
        ));
    };
    let verb = if old.is_some() { "edited" } else { "wrote" };
    let lines = file_change::write_change(tools, target, old, new).await?;
    if let Some(permissions) = &change.permissions {
        fs::set_permissions(&target.real_path, permissions.clone()).map_err(|source| {
            ToolError::Io {
                step: "set the permissions of",
                path: target.display_path.clone(),
                source,
            }
        })?;
    }
    Ok((verb, lines))
}

/// Puts back what stood before `changes`, the last first.
async fn undo_changes(tools: &AgentTools, changes: &[PlannedChange]) -> Result<(), ToolError> {
    for change in changes.iter().rev() {
        let new = change.new.as_deref().map(str::as_bytes);
        match &change.old {
            Some(old) => {
                let old = String::from_utf8_lossy(old);
                file_change::write_change(tools, &change.target, new, &old).await?;
            }
            None => {
                file_change::remove_file(tools, &change.target, new.unwrap_or_default()).await?;
            }
        }
    }
    Ok(())
}

fn plan_file(tools: &AgentTools, file: &FilePatch) -> Result<Vec<PlannedChange>, ToolError> {
    Ok(match file {
        FilePatch::Add { path, text } => vec![PlannedChange {
            target: absent_path(tools, path)?,
            old: None,
            new: Some(text.clone()),
            permissions: None,
        }],
        FilePatch::Delete { path } => {
            let target = plain_file(tools, path)?;
            let old = Some(read_text_file(&target)?);
            vec![PlannedChange {
                target,
                old,
                new: None,
                permissions: None,
            }]
        }
        FilePatch::Update {
            path,
            new_path,
            hunks,
        } => {
            let target = match new_path {
                None => tools.paths.resolve_writable(path)?,
                Some(_) => plain_file(tools, path)?,
            };
            let old = read_text_file(&target)?;
            let new = patched_text(&target, &old, hunks)?;
            match new_path {
                None => vec![PlannedChange {
                    target,
                    old: Some(old),
                    new: Some(new),
                    permissions: None,
                }],
                Some(new_path) => vec![
                    PlannedChange {
                        permissions: fs::metadata(&target.real_path)
                            .ok()
                            .map(|meta| meta.permissions()),
                        target: absent_path(tools, new_path)?,
                        old: None,
                        new: Some(new),
                    },
                    PlannedChange {
                        target,
                        old: Some(old),
                        new: None,
                        permissions: None,
                    },
                ],
            }
        }
    })
}

fn patched_text(target: &ToolPath, old: &[u8], hunks: &[PatchHunk]) -> Result<String, ToolError> {
    let path = || target.display_path.clone();
    let text = std::str::from_utf8(old).map_err(|_| ToolError::Binary {
        path: path(),
        bytes: old.len() as u64,
    })?;
    let edited = apply_hunks(text, hunks).map_err(|refused| ToolError::Edit {
        which: match hunks.len() {
            1 => format!("`{}`", path()),
            count => format!("`{}`, hunk {} of {count}", path(), refused.index + 1),
        },
        refusal: refused.refusal,
    })?;
    Ok(edited.text)
}

/// A file that may go; a link would take the file that it leads to.
fn plain_file(tools: &AgentTools, path: &str) -> Result<ToolPath, ToolError> {
    let target = tools.paths.resolve_writable(path)?;
    let given = tools.paths.workspace_root().join(path);
    if fs::symlink_metadata(given).is_ok_and(|meta| meta.is_symlink()) {
        let path = path.to_owned();
        return Err(PatchFault::Link { path }.into());
    }
    Ok(target)
}

/// A path where nothing is yet.
fn absent_path(tools: &AgentTools, path: &str) -> Result<ToolPath, ToolError> {
    let target = tools.paths.resolve_writable(path)?;
    if fs::symlink_metadata(&target.real_path).is_ok() {
        return Err(ToolError::PathTaken {
            path: target.display_path,
        });
    }
    Ok(target)
}
