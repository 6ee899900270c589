//! `glob`: files by pattern.

use std::fmt::Write as _;
use std::path::Path;

use globset::GlobBuilder;
use ignore::{DirEntry, Walk, WalkBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AgentTools, ToolError, object_schema};

pub(super) const DESCRIPTION: &str = "Lists files of the workspace by pattern, such as `src/**/*.rs`. Ignored files \
    and git's own are left out. `*` stays within a folder, `**` does not.";

const FOUND_MAX: usize = 1_000;
/// Entries looked at; a repository has fewer.
const WALKED_MAX: usize = 500_000;

/// Input of the tool `glob`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GlobInput {
    pattern: String,
    path: Option<String>,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "pattern": {"type": "string", "description": "Matched against the path below `path`."},
            "path": {"type": "string", "description": "Folder to look in; the workspace when absent."},
        }),
        &["pattern"],
    )
}

pub(super) async fn run(tools: &AgentTools, input: GlobInput) -> Result<String, ToolError> {
    let root = tools
        .paths
        .resolve_readable(input.path.as_deref().unwrap_or("."))?;
    let glob = GlobBuilder::new(&input.pattern)
        .literal_separator(true)
        .build()
        .map_err(ToolError::Glob)?
        .compile_matcher();
    let workspace = tools.paths.workspace_root().to_path_buf();
    let found = tokio::task::spawn_blocking(move || {
        let mut found: Vec<String> = walk_files(&root.real_path)
            .filter(|entry| {
                let below = entry.path().strip_prefix(&root.real_path);
                below.is_ok_and(|below| glob.is_match(below))
            })
            .map(|entry| {
                let path = entry.path();
                let shown = path.strip_prefix(&workspace).unwrap_or(path);
                shown.display().to_string()
            })
            .collect();
        found.sort_unstable();
        found
    })
    .await?;
    if found.is_empty() {
        return Ok("no file matches".to_owned());
    }
    let more = found.len().saturating_sub(FOUND_MAX);
    let mut out = found[..found.len() - more].join("\n");
    if more > 0 {
        let _ = write!(out, "\n[{more} more; use a narrower pattern]");
    }
    Ok(out)
}

/// The regular files below `root`, without ignored ones and git's own; links are not followed.
pub(super) fn walk_files(root: &Path) -> impl Iterator<Item = DirEntry> {
    let walk: Walk = WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .git_global(false)
        .parents(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_name(Ord::cmp)
        .build();
    walk.take(WALKED_MAX)
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
}
