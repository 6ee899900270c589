//! `grep`: lines by pattern, in linear time.

use std::fmt::Write as _;
use std::fs;

use globset::{GlobBuilder, GlobMatcher};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::glob::files;
use super::paths::Places;
use super::read::is_binary;
use super::{ToolError, Toolbox, object, shortened};

pub(super) const DESCRIPTION: &str = "Searches the files of the workspace for a regular expression and gives \
    `path:line: text`. Ignored, binary and very large files are left out.";

const FILE_BYTES_MAX: u64 = 4 << 20;
const FOUND_MAX: usize = 500;
const LINE_CHARS_MAX: usize = 300;
const REGEX_BYTES_MAX: usize = 4 << 20;

/// Its input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
}

pub(super) fn schema() -> Value {
    object(
        json!({
            "pattern": {"type": "string", "description": "Regular expression; `(?i)` ignores case."},
            "path": {"type": "string", "description": "File or folder to look in; the workspace when absent."},
            "glob": {"type": "string", "description": "Only files that match, such as `*.py` or `src/**`."},
        }),
        &["pattern"],
    )
}

pub(super) async fn run(toolbox: &Toolbox, input: Input) -> Result<String, ToolError> {
    let root = toolbox
        .places
        .readable(input.path.as_deref().unwrap_or("."))?;
    fs::metadata(&root.full).map_err(|source| ToolError::Io {
        step: "search",
        path: root.shown.clone(),
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
    let places = toolbox.places.clone();
    let room = toolbox.limits.result_bytes.saturating_sub(200);
    let search = Search {
        regex,
        only,
        places,
        room,
    };
    Ok(tokio::task::spawn_blocking(move || search.run(&root.full)).await?)
}

struct Search {
    regex: Regex,
    only: Option<GlobMatcher>,
    places: Places,
    room: usize,
}

impl Search {
    fn run(&self, root: &std::path::Path) -> String {
        let mut out = String::new();
        let (mut found, mut too_large) = (0, 0);
        'files: for entry in files(root) {
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
            let shown = self.places.shown(path);
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
                let line = shortened(line.trim_end(), LINE_CHARS_MAX);
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
