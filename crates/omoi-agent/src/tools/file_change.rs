//! Writes a file of the workspace and reports the difference.

use std::{fs, io};

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use omoi_domain::agent_event::AgentEventKind;

use super::allowed_paths::ToolPath;
use super::read::FILE_BYTES_MAX;
use super::{AgentTools, ToolError, shorten_text};

const PREVIEW_LINES_MAX: usize = 100;
const PREVIEW_CHARS_MAX: usize = 5_000;
const DIFF_CHARS_MAX: usize = 50_000;
/// Longer texts are compared by their line counts only.
const COMPARED_BYTES_MAX: usize = 2 << 20;

/// Lines that a change added and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineCounts {
    pub(super) added: usize,
    pub(super) removed: usize,
}

/// A file as it stood before an agent program wrote it.
#[derive(Clone, Debug)]
pub(crate) struct FileBefore {
    target: ToolPath,
    text: Option<Vec<u8>>,
}

impl FileBefore {
    /// Reads the file at `target`, if there is one that can be compared.
    pub(super) fn read(target: ToolPath) -> Self {
        Self {
            text: read_comparable(&target),
            target,
        }
    }

    /// The event that tells how it changed since, with its line for people; none when it did not.
    pub(crate) fn change_event(&self) -> Option<(Value, String)> {
        let now = read_comparable(&self.target)?;
        if self.text.as_ref() == Some(&now) {
            return None;
        }
        let path = &self.target.display_path;
        let (_, data) = change_event(path, self.text.as_deref(), &String::from_utf8_lossy(&now));
        Some((data, change_summary(path, self.text.is_some())))
    }
}

fn read_comparable(target: &ToolPath) -> Option<Vec<u8>> {
    let meta = fs::metadata(&target.real_path).ok()?;
    if !meta.is_file() {
        return None;
    }
    // Shown as replaced, not compared.
    if meta.len() > FILE_BYTES_MAX {
        return Some(Vec::new());
    }
    fs::read(&target.real_path).ok()
}

fn change_summary(path: &str, is_known: bool) -> String {
    let verb = if is_known { "editing" } else { "creating" };
    format!("{verb} {path}")
}

/// Puts `new` at `target` and reports the difference to `old`.
pub(super) async fn write_change(
    tools: &AgentTools,
    target: &ToolPath,
    old: Option<&[u8]>,
    new: &str,
) -> Result<LineCounts, ToolError> {
    store_text(target, Some(new)).map_err(|source| ToolError::Io {
        step: "write",
        path: target.display_path.clone(),
        source,
    })?;
    let (lines, data) = change_event(&target.display_path, old, new);
    let summary = change_summary(&target.display_path, old.is_some());
    tools
        .reporter
        .show_event(AgentEventKind::FileEdited, data, &summary)
        .await;
    Ok(lines)
}

/// Removes the file at `target`, which holds `old`, and reports it.
pub(super) async fn remove_file(
    tools: &AgentTools,
    target: &ToolPath,
    old: &[u8],
) -> Result<LineCounts, ToolError> {
    let path = &target.display_path;
    store_text(target, None).map_err(|source| ToolError::Io {
        step: "remove",
        path: path.clone(),
        source,
    })?;
    let (lines, mut data) = change_event(path, Some(old), "");
    data["change_type"] = json!("deleted");
    tools
        .reporter
        .show_event(
            AgentEventKind::FileEdited,
            data,
            &format!("deleting {path}"),
        )
        .await;
    Ok(lines)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the agent's own files; they become durable with the turn's snapshot"
)]
fn store_text(target: &ToolPath, text: Option<&str>) -> io::Result<()> {
    let Some(text) = text else {
        return fs::remove_file(&target.real_path);
    };
    if let Some(folder) = target.real_path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&target.real_path, text)
}

fn change_event(path: &str, old: Option<&[u8]>, new: &str) -> (LineCounts, Value) {
    let before = String::from_utf8_lossy(old.unwrap_or_default());
    let change_type = if old.is_some() { "modified" } else { "created" };
    let mut data = json!({ "file_path": path, "change_type": change_type });
    let comparable = before.len() + new.len() <= COMPARED_BYTES_MAX;
    let (lines, diff) = if comparable {
        compare_texts(path, &before, new)
    } else {
        let lines = LineCounts {
            added: new.lines().count(),
            removed: before.lines().count(),
        };
        (lines, None)
    };
    data["lines_added"] = json!(lines.added);
    data["lines_removed"] = json!(lines.removed);
    data["diff_preview"] = json!(diff.as_deref().map(diff_preview));
    data["full_diff_size"] = json!(diff.as_ref().map(|d| d.chars().count()));
    data["full_diff"] = json!(diff.filter(|d| d.chars().count() <= DIFF_CHARS_MAX));
    (lines, data)
}

fn compare_texts(path: &str, before: &str, after: &str) -> (LineCounts, Option<String>) {
    let diff = TextDiff::from_lines(before, after);
    let count = |tag| diff.iter_all_changes().filter(|c| c.tag() == tag).count();
    let lines = LineCounts {
        added: count(ChangeTag::Insert),
        removed: count(ChangeTag::Delete),
    };
    let text = diff
        .unified_diff()
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string();
    (lines, Some(text))
}

fn diff_preview(diff: &str) -> String {
    let lines: Vec<&str> = diff.lines().take(PREVIEW_LINES_MAX).collect();
    shorten_text(&lines.join("\n"), PREVIEW_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_and_bounded() {
        let (lines, data) = change_event("a.py", Some(b"one\ntwo\n"), "one\n2\nthree\n");
        assert_eq!((lines.added, lines.removed), (2, 1));
        assert_eq!(data["change_type"], "modified");
        let want = "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,3 @@\n one\n-two\n+2\n+three\n";
        assert_eq!(data["full_diff"], want);

        let (lines, data) = change_event("b.py", None, &"x\n".repeat(30_000));
        assert_eq!((lines.added, lines.removed), (30_000, 0));
        assert_eq!(data["full_diff"], Value::Null);
        let shown = data["diff_preview"].as_str().unwrap_or_default();
        assert_eq!(shown.lines().count(), PREVIEW_LINES_MAX);
    }
}
