//! `grep`: lines by pattern, in linear time, by ripgrep's library.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use globset::{GlobBuilder, GlobMatcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use serde::Deserialize;
use serde_json::{Value, json};

use super::allowed_paths::AllowedPaths;
use super::glob::walk_files;
use super::{AgentTools, ToolError, object_schema, shorten_text};

pub(super) const DESCRIPTION: &str = "Searches the files of the workspace for a regular expression and gives \
    `path:line: text`; with `context` also the lines around, as `path-line- text`. Ignored, binary and very large files \
    are left out.";

const FILE_BYTES_MAX: u64 = 64 << 20;
const FOUND_MAX: usize = 500;
const CONTEXT_MAX: usize = 20;
const LINE_CHARS_MAX: usize = 300;
const REGEX_BYTES_MAX: usize = 4 << 20;

/// Input of the tool `grep`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrepInput {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
    context: Option<usize>,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "pattern": {"type": "string", "description": "Regular expression; `(?i)` ignores case."},
            "path": {"type": "string", "description": "File or folder to look in; the workspace when absent."},
            "glob": {"type": "string", "description": "Only files that match, such as `*.py` or `src/**`."},
            "context": {"type": "integer", "minimum": 0, "maximum": CONTEXT_MAX, "description": "Lines to show before and behind each that matches."},
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
    let matcher = RegexMatcherBuilder::new()
        .size_limit(REGEX_BYTES_MAX)
        .line_terminator(Some(b'\n'))
        .build(&input.pattern)
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
    let search = GrepSearch {
        matcher,
        only,
        context: input.context.unwrap_or(0).min(CONTEXT_MAX),
        places: tools.paths.clone(),
        room: tools.limits.result_bytes.saturating_sub(200),
    };
    Ok(tokio::task::spawn_blocking(move || search.search_files(&root.real_path)).await?)
}

struct GrepSearch {
    matcher: RegexMatcher,
    only: Option<GlobMatcher>,
    context: usize,
    places: AllowedPaths,
    room: usize,
}

impl GrepSearch {
    fn search_files(&self, root: &Path) -> String {
        let mut searcher = SearcherBuilder::new()
            .binary_detection(BinaryDetection::quit(0))
            .before_context(self.context)
            .after_context(self.context)
            .build();
        let mut found = FoundLines {
            shown_path: String::new(),
            out: String::new(),
            n_matches: 0,
            room: self.room,
            is_full: false,
        };
        let mut too_large = 0;
        let mut walk = walk_files(root);
        for entry in walk.by_ref() {
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
            found.shown_path = self.places.display_path(path);
            // Files that cannot be read are none that match.
            let _ = searcher.search_path(&self.matcher, path, &mut found);
            if found.is_full {
                break;
            }
        }
        found.into_text(too_large) + walk.cut_note()
    }
}

/// The lines found so far, within their bound.
struct FoundLines {
    shown_path: String,
    out: String,
    n_matches: usize,
    room: usize,
    is_full: bool,
}

impl FoundLines {
    /// Shows a line; false when there is no room for more.
    fn push_line(&mut self, line: u64, mark: char, bytes: &[u8]) -> bool {
        if self.n_matches > FOUND_MAX || self.out.len() > self.room {
            self.is_full = true;
            return false;
        }
        let text = String::from_utf8_lossy(bytes);
        let text = shorten_text(text.trim_end(), LINE_CHARS_MAX);
        let _ = writeln!(self.out, "{}{mark}{line}{mark} {text}", self.shown_path);
        true
    }

    fn into_text(mut self, too_large: usize) -> String {
        if self.is_full {
            self.out
                .push_str("[more lines match; use a narrower pattern, path or glob]\n");
        }
        if self.n_matches == 0 {
            self.out.push_str("no line matches\n");
        }
        if too_large > 0 {
            let _ = writeln!(
                self.out,
                "[{too_large} files larger than {FILE_BYTES_MAX} bytes were not searched]"
            );
        }
        self.out
    }
}

impl Sink for FoundLines {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        self.n_matches += 1;
        Ok(self.push_line(found.line_number().unwrap_or(0), ':', found.bytes()))
    }

    fn context(&mut self, _: &Searcher, around: &SinkContext<'_>) -> Result<bool, io::Error> {
        Ok(self.push_line(around.line_number().unwrap_or(0), '-', around.bytes()))
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, io::Error> {
        self.out.push_str("--\n");
        Ok(true)
    }
}
