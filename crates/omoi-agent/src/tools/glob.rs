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
        let mut walk = walk_files(&root.real_path);
        let mut found: Vec<String> = walk
            .by_ref()
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
        (found, walk.cut_note())
    })
    .await?;
    let (found, cut_note) = found;
    if found.is_empty() {
        return Ok(format!("no file matches\n{cut_note}").trim_end().to_owned());
    }
    let more = found.len().saturating_sub(FOUND_MAX);
    let mut out = found[..found.len() - more].join("\n");
    if more > 0 {
        let _ = write!(out, "\n[{more} more; use a narrower pattern]");
    }
    if !cut_note.is_empty() {
        let _ = write!(out, "\n{}", cut_note.trim_end());
    }
    Ok(out)
}

/// The regular files below a folder, as many as are looked at.
pub(super) struct FileWalk {
    walk: Walk,
    n_left: usize,
    is_cut: bool,
}

/// The regular files below `root`, without ignored ones and git's own; links are not followed.
pub(super) fn walk_files(root: &Path) -> FileWalk {
    walk_entries(root, WALKED_MAX)
}

fn walk_entries(root: &Path, n_max: usize) -> FileWalk {
    let walk = WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .git_global(false)
        .parents(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_name(Ord::cmp)
        .build();
    FileWalk {
        walk,
        n_left: n_max,
        is_cut: false,
    }
}

impl FileWalk {
    /// What an agent is told where there was more to look at; otherwise empty.
    pub(super) fn cut_note(&self) -> &'static str {
        match self.is_cut {
            true => {
                "[the search ended after 500,000 files and folders, and there are more: name a folder in `path`]\n"
            }
            false => "",
        }
    }
}

impl Iterator for FileWalk {
    type Item = DirEntry;

    fn next(&mut self) -> Option<DirEntry> {
        loop {
            let entry = self.walk.next()?;
            if self.n_left == 0 {
                self.is_cut = true;
                return None;
            }
            self.n_left -= 1;
            let is_file = |entry: &DirEntry| entry.file_type().is_some_and(|kind| kind.is_file());
            if let Some(file) = entry.ok().filter(is_file) {
                return Some(file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    #![allow(clippy::disallowed_methods, reason = "files that are thrown away")]
    use super::*;

    #[test]
    fn a_search_that_ends_early_says_so() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        // The folder itself counts too.
        for (n_max, expected, is_cut) in [(4, 3, false), (3, 2, true), (9, 3, false)] {
            let mut walk = walk_entries(folder.path(), n_max);
            assert_eq!(walk.by_ref().count(), expected, "{n_max}");
            assert_eq!(!walk.cut_note().is_empty(), is_cut, "{n_max}");
        }
    }
}
