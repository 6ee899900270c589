//! `grep`: lines by pattern, in linear time.

use std::fmt::Write as _;
use std::fs;

use globset::{GlobBuilder, GlobMatcher};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::allowed_paths::AllowedPaths;
use super::glob::walk_files;
use super::read::is_binary;
use super::{AgentTools, ToolError, object_schema, shorten_text};

pub(super) const DESCRIPTION: &str = "Searches the files of the workspace for a regular expression and gives \
    `path:line: text`. Ignored, binary and very large files are left out.";

const FILE_BYTES_MAX: u64 = 4 << 20;
const FOUND_MAX: usize = 500;
const LINE_CHARS_MAX: usize = 300;
const REGEX_BYTES_MAX: usize = 4 << 20;

/// Input of the tool `grep`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrepInput {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "pattern": {"type": "string", "description": "Regular expression; `(?i)` ignores case."},
            "path": {"type": "string", "description": "File or folder to look in; the workspace when absent."},
            "glob": {"type": "string", "description": "Only files that match, such as `*.py` or `src/**`."},
        }),
        &["pattern"],
    )
}

pub(super) async fn run(tools: &AgentTools, input: GrepInput) -> Result<String, ToolError> {
    let root = tools
        .paths
        .resolve_readable(input.path.as_deref().unwrap_or("."))?;
    fs::metadata(&root.real_path).map_err(|source| ToolError::Io {
        step: "search",
        path: root.display_path.clone(),
        source,
    })?;
    let regex = RegexBuilder::new(&input.pattern)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(ToolError::Regex)?;
    let only = match &input.glob {
        Some(glob) => Some(
            GlobBuilder::new(glob)
                .build()
                .map_err(ToolError::Glob)?
                .compile_matcher(),
        ),
        None => None,
    };
    let places = tools.paths.clone();
    let room = tools.limits.result_bytes.saturating_sub(200);
    let search = GrepSearch {
        regex,
        only,
        places,
        room,
    };
    Ok(tokio::task::spawn_blocking(move || search.search_files(&root.real_path)).await?)
}

struct GrepSearch {
    regex: Regex,
    only: Option<GlobMatcher>,
    places: AllowedPaths,
    room: usize,
}

impl GrepSearch {
    fn search_files(&self, root: &std::path::Path) -> String {
        let mut out = String::new();
        let (mut found, mut too_large) = (0, 0);
        'files: for entry in walk_files(root) {
            let path = entry.path();
            let below = path.strip_prefix(root).unwrap_or(path);
            let named =
                |glob: &GlobMatcher| glob.is_match(below) || glob.is_match(entry.file_name());
            if !self.only.as_ref().is_none_or(named) {
                continue;
            }
            if entry.metadata().is_ok_and(|m| m.len() > FILE_BYTES_MAX) {
                too_large += 1;
                continue;
            }
            // Files that cannot be read are none that match.
            let Ok(bytes) = fs::read(path) else { continue };
            if is_binary(&bytes) || !self.regex.is_match(&bytes) {
                continue;
            }
            let shown = self.places.display_path(path);
            for (n, line) in bytes.split(|b| *b == b'\n').enumerate() {
                if !self.regex.is_match(line) {
                    continue;
                }
                if found == FOUND_MAX || out.len() > self.room {
                    let _ = writeln!(
                        out,
                        "[more lines match; use a narrower pattern, path or glob]"
                    );
                    break 'files;
                }
                found += 1;
                let line = String::from_utf8_lossy(line);
                let line = shorten_text(line.trim_end(), LINE_CHARS_MAX);
                let _ = writeln!(out, "{shown}:{}: {line}", n + 1);
            }
        }
        if found == 0 {
            out.push_str("no line matches\n");
        }
        if too_large > 0 {
            let _ = writeln!(
                out,
                "[{too_large} files larger than {FILE_BYTES_MAX} bytes were not searched]"
            );
        }
        out
    }
}
