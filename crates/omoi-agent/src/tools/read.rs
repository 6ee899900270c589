//! `read`: a text file with line numbers.

use std::fmt::Write as _;
use std::fs;

use serde::Deserialize;
use serde_json::{Value, json};

use super::allowed_paths::ToolPath;
use super::{AgentTools, ToolError, object_schema};

pub(super) const DESCRIPTION: &str = "Reads a text file of the workspace. Lines come with their numbers, \
    followed by a tab; neither is part of the file. Long files are cut: go on with `offset`.";

/// Larger files are not read as a whole.
pub(super) const FILE_BYTES_MAX: u64 = 16 << 20;
const LINES_DEFAULT: usize = 2_000;
const LINE_CHARS_MAX: usize = 2_000;
const PROBE_BYTES: usize = 8_000;

/// Input of the tool `read`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadInput {
    path: String,
    offset: Option<usize>,
    limit: Option<usize>,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "path": {"type": "string", "description": "Relative to the workspace, or absolute inside it."},
            "offset": {"type": "integer", "minimum": 1, "description": "First line, counted from 1."},
            "limit": {"type": "integer", "minimum": 1, "description": "Most lines; 2000 when absent."},
        }),
        &["path"],
    )
}

pub(super) fn run(tools: &AgentTools, input: ReadInput) -> Result<String, ToolError> {
    let target = tools.paths.resolve_readable(&input.path)?;
    let bytes = read_text_file(&target)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let first = input.offset.unwrap_or(1).max(1);
    if lines.is_empty() {
        return Ok(format!("`{}` is empty", target.display_path));
    }
    if first > lines.len() {
        return Err(ToolError::BehindEnd {
            path: target.display_path,
            lines: lines.len(),
            offset: first,
        });
    }
    let limit = input.limit.unwrap_or(LINES_DEFAULT).max(1);
    // Room for the line that says where to go on.
    let room = tools.limits.result_bytes.saturating_sub(120);
    let mut out = String::new();
    let mut last = first - 1;
    for line in lines.iter().skip(first - 1).take(limit) {
        let line = super::shorten_text(line, LINE_CHARS_MAX);
        if out.len() + line.len() + 12 > room && last >= first {
            break;
        }
        last += 1;
        let _ = writeln!(out, "{last:>6}\t{line}");
    }
    if last < lines.len() {
        let _ = write!(
            out,
            "[lines {first} to {last} of {}; go on with offset {}]",
            lines.len(),
            last + 1
        );
    }
    Ok(out)
}

/// The bytes of a text file, if it is one and not too large.
pub(super) fn read_text_file(target: &ToolPath) -> Result<Vec<u8>, ToolError> {
    let failed = |source| ToolError::Io {
        step: "read",
        path: target.display_path.clone(),
        source,
    };
    let path = || target.display_path.clone();
    // Asked before it is opened: opening a pipe would wait for its other end.
    let meta = fs::metadata(&target.real_path).map_err(failed)?;
    if !meta.is_file() {
        return Err(ToolError::NotAFile { path: path() });
    }
    if meta.len() > FILE_BYTES_MAX {
        return Err(ToolError::TooLarge {
            path: path(),
            bytes: meta.len(),
            max: FILE_BYTES_MAX,
        });
    }
    let bytes = fs::read(&target.real_path).map_err(failed)?;
    if is_binary(&bytes) {
        return Err(ToolError::Binary {
            path: path(),
            bytes: meta.len(),
        });
    }
    Ok(bytes)
}

/// Text has no NUL; looking at its beginning is what git does too.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(PROBE_BYTES)].contains(&0)
}
