//! Carries out the patch form of `edit`: every file is looked at before any is written.

use std::fmt::Write as _;
use std::fs;

use super::allowed_paths::ToolPath;
use super::patch_text::{FilePatch, PatchHunk, apply_hunks, parse_patch};
use super::read::read_text_file;
use super::{AgentTools, ToolError, file_change};

/// What is to become of one path.
struct PlannedChange {
    target: ToolPath,
    old: Option<Vec<u8>>,
    /// Its new text; none when it goes.
    new: Option<String>,
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
    for change in &changes {
        let (target, old) = (&change.target, change.old.as_deref());
        let (verb, lines) = match (&change.new, old) {
            (Some(new), _) => {
                let verb = if old.is_some() { "edited" } else { "wrote" };
                (
                    verb,
                    file_change::write_change(tools, target, old, new).await?,
                )
            }
            (None, old) => {
                let old = old.unwrap_or_default();
                (
                    "removed",
                    file_change::remove_file(tools, target, old).await?,
                )
            }
        };
        let _ = writeln!(
            says,
            "{verb} `{}` (+{} −{} lines)",
            target.display_path, lines.added, lines.removed
        );
    }
    Ok(says)
}

fn plan_file(tools: &AgentTools, file: &FilePatch) -> Result<Vec<PlannedChange>, ToolError> {
    Ok(match file {
        FilePatch::Add { path, text } => vec![PlannedChange {
            target: absent_path(tools, path)?,
            old: None,
            new: Some(text.clone()),
        }],
        FilePatch::Delete { path } => {
            let target = tools.paths.resolve_writable(path)?;
            let old = Some(read_text_file(&target)?);
            vec![PlannedChange {
                target,
                old,
                new: None,
            }]
        }
        FilePatch::Update {
            path,
            new_path,
            hunks,
        } => {
            let target = tools.paths.resolve_writable(path)?;
            let old = read_text_file(&target)?;
            let new = patched_text(&target, &old, hunks)?;
            match new_path {
                None => vec![PlannedChange {
                    target,
                    old: Some(old),
                    new: Some(new),
                }],
                Some(new_path) => vec![
                    PlannedChange {
                        target: absent_path(tools, new_path)?,
                        old: None,
                        new: Some(new),
                    },
                    PlannedChange {
                        target,
                        old: Some(old),
                        new: None,
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
