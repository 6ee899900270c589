//! The patch form of edits, `*** Begin Patch` to `*** End Patch`, that some models are trained on.

use std::ops::Range;

use super::edit_text::{
    EditRefusal, EditedText, RefusedEdit, TextDrift, TextEdit, apply_edits, line_end_at,
    line_number, name_lines, with_line_ends,
};

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const END_OF_FILE: &str = "*** End of File";

/// What a patch does to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePatch {
    /// A new file with this text.
    Add { path: String, text: String },
    /// The file goes.
    Delete { path: String },
    /// Parts of it change, and perhaps its path.
    Update {
        path: String,
        new_path: Option<String>,
        hunks: Vec<PatchHunk>,
    },
}

/// One part of a file that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchHunk {
    /// A line that stands before it, such as that of its function.
    pub(super) below: Option<String>,
    old: String,
    new: String,
}

/// Why a patch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchFault {
    #[error("a patch begins with `{BEGIN}` and ends with `{END}`, each on a line of its own")]
    Envelope,
    #[error("line {line} of the patch is not understood: `{text}`")]
    Line { line: usize, text: String },
    #[error("the patch changes nothing")]
    Empty,
    #[error(
        "`{path}` is a link; nothing was changed: name the file that it leads to, or change the link in a shell"
    )]
    Link { path: String },
}

impl FilePatch {
    /// The paths that it writes or removes.
    pub(super) fn patched_paths(&self) -> Vec<&str> {
        match self {
            Self::Add { path, .. } | Self::Delete { path } => vec![path],
            Self::Update { path, new_path, .. } => [Some(path), new_path.as_ref()]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect(),
        }
    }
}

/// The changes of a patch, file by file.
///
/// # Errors
/// When it has no begin or end, a line that is not understood, or no change.
pub fn parse_patch(patch: &str) -> Result<Vec<FilePatch>, PatchFault> {
    let lines: Vec<&str> = patch.trim().lines().collect();
    let [BEGIN, body @ .., END] = lines.as_slice() else {
        return Err(PatchFault::Envelope);
    };
    let mut files: Vec<FilePatch> = Vec::new();
    for (n, line) in body.iter().enumerate() {
        let is_read = match begin_file(line) {
            Some(file) => {
                files.push(file);
                true
            }
            None => files.last_mut().is_some_and(|file| read_line(file, line)),
        };
        if !is_read {
            return Err(PatchFault::Line {
                line: n + 2,
                text: (*line).to_owned(),
            });
        }
    }
    let changes_nothing = |file: &FilePatch| match file {
        FilePatch::Update {
            new_path, hunks, ..
        } => hunks.is_empty() && new_path.is_none(),
        FilePatch::Add { .. } | FilePatch::Delete { .. } => false,
    };
    if files.is_empty() || files.iter().any(changes_nothing) {
        return Err(PatchFault::Empty);
    }
    Ok(files)
}

fn begin_file(line: &str) -> Option<FilePatch> {
    let path_after = |mark| {
        line.strip_prefix(mark)
            .map(|path: &str| path.trim().to_owned())
    };
    if let Some(path) = path_after("*** Add File: ") {
        let text = String::new();
        return Some(FilePatch::Add { path, text });
    }
    if let Some(path) = path_after("*** Delete File: ") {
        return Some(FilePatch::Delete { path });
    }
    path_after("*** Update File: ").map(|path| FilePatch::Update {
        path,
        new_path: None,
        hunks: Vec::new(),
    })
}

/// Takes a line into its file's part; false when it has no place there.
fn read_line(file: &mut FilePatch, line: &str) -> bool {
    match file {
        FilePatch::Add { text, .. } => {
            let Some(added) = line.strip_prefix('+') else {
                return false;
            };
            text.push_str(added);
            text.push('\n');
            true
        }
        FilePatch::Delete { .. } => line.trim().is_empty(),
        FilePatch::Update {
            new_path, hunks, ..
        } => {
            if let Some(path) = line.strip_prefix("*** Move to: ") {
                *new_path = Some(path.trim().to_owned());
                return true;
            }
            read_hunk_line(hunks, line)
        }
    }
}

fn read_hunk_line(hunks: &mut Vec<PatchHunk>, line: &str) -> bool {
    if line == END_OF_FILE {
        return true;
    }
    if let Some(below) = line.strip_prefix("@@") {
        let below = below.trim().trim_end_matches("@@").trim();
        hunks.push(PatchHunk {
            below: (!below.is_empty()).then(|| below.to_owned()),
            ..PatchHunk::default()
        });
        return true;
    }
    if hunks.is_empty() {
        hunks.push(PatchHunk::default());
    }
    let Some(hunk) = hunks.last_mut() else {
        return false;
    };
    let add_line = |text: &mut String, line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    match line.split_at_checked(1) {
        Some(("+", added)) => add_line(&mut hunk.new, added),
        Some(("-", removed)) => add_line(&mut hunk.old, removed),
        Some((" ", kept)) => {
            add_line(&mut hunk.old, kept);
            add_line(&mut hunk.new, kept);
        }
        // An empty line of context often loses its blank.
        None => {
            add_line(&mut hunk.old, "");
            add_line(&mut hunk.new, "");
        }
        Some(_) => return false,
    }
    true
}

/// `text` with `hunks` applied, all or none.
///
/// # Errors
/// When one of them has no place in the text, or more than one.
pub fn apply_hunks(text: &str, hunks: &[PatchHunk]) -> Result<EditedText, RefusedEdit> {
    let mut patched = EditedText {
        text: text.to_owned(),
        n_places: 0,
        drift: TextDrift::Exact,
    };
    for (index, hunk) in hunks.iter().enumerate() {
        let next = apply_hunk(&patched.text, hunk);
        let next = next.map_err(|refusal| RefusedEdit { index, refusal })?;
        patched.text = next.text;
        patched.n_places += next.n_places;
        patched.drift = patched.drift.max(next.drift);
    }
    Ok(patched)
}

/// Applies a hunk behind the line that it names; that line has to be there once.
fn apply_hunk(text: &str, hunk: &PatchHunk) -> Result<EditedText, EditRefusal> {
    let below = hunk.below.as_deref();
    let named = below.map(|below| named_line(text, below)).transpose()?;
    if hunk.old.is_empty() {
        let at = named.map_or(text.len(), |line| line.end);
        return Ok(add_lines(text, at, hunk));
    }
    let edit = TextEdit {
        old: hunk.old.clone(),
        new: hunk.new.clone(),
        replace_all: false,
    };
    // The named line itself may begin the lines of the hunk.
    let start = named.map_or(0, |line| line.start);
    let edited = apply_edits(&text[start..], &[edit]);
    let mut edited = edited.map_err(|refused| refused.refusal)?;
    edited.text.insert_str(0, &text[..start]);
    Ok(edited)
}

/// A hunk that only adds lines goes to `at`, below the line that it names or to the end.
fn add_lines(text: &str, at: usize, hunk: &PatchHunk) -> EditedText {
    let line_end = line_end_at(text, at);
    let added = with_line_ends(&hunk.new, line_end);
    let is_unended = at > 0 && !text[..at].ends_with('\n');
    let begin = if is_unended { line_end } else { "" };
    EditedText {
        text: format!("{}{begin}{added}{}", &text[..at], &text[at..]),
        n_places: 1,
        drift: TextDrift::Exact,
    }
}

/// Where the one line that is `wanted` but for its indentation stands, its end included.
fn named_line(text: &str, wanted: &str) -> Result<Range<usize>, EditRefusal> {
    let mut at = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.trim() == wanted {
            found.push(at..at + line.len());
        }
        at += line.len();
    }
    match found.as_slice() {
        [line] => Ok(line.clone()),
        [] => {
            let near = format!("; the patch names the line `{wanted}`, which is not there");
            Err(EditRefusal::NotFound { near })
        }
        lines => Err(EditRefusal::Ambiguous {
            count: lines.len(),
            lines: name_lines(lines.iter().map(|line| line_number(text, line.start))),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    fn hunks(lines: &str) -> Vec<PatchHunk> {
        let patch = format!("{BEGIN}\n*** Update File: a\n{lines}\n{END}");
        match parse_patch(&patch).unwrap().remove(0) {
            FilePatch::Update { hunks, .. } => hunks,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn patches_are_read_or_refused_by_line() {
        let patch = "*** Begin Patch\n*** Add File: n.py\n+x\n+\n*** Delete File: d\n*** Update File: u\n*** Move to: v\n@@ def f():\n a\n-b\n+c\n*** End of File\n*** End Patch\n";
        let files = parse_patch(patch).unwrap();
        let paths: Vec<_> = files.iter().map(FilePatch::patched_paths).collect();
        assert_eq!(paths, [vec!["n.py"], vec!["d"], vec!["u", "v"]]);
        assert!(matches!(&files[0], FilePatch::Add { text, .. } if text == "x\n\n"));
        let cases = [
            ("", "begins with"),
            ("*** Begin Patch\n*** End Patch", "changes nothing"),
            (
                "*** Begin Patch\n*** Update File: a\n*** End Patch",
                "changes nothing",
            ),
            (
                "*** Begin Patch\nx\n*** End Patch",
                "line 2 of the patch is not understood: `x`",
            ),
            (
                "*** Begin Patch\n*** Add File: a\nx\n*** End Patch",
                "line 3",
            ),
        ];
        for (patch, says) in cases {
            let fault = parse_patch(patch).unwrap_err().to_string();
            assert!(fault.contains(says), "{patch}: {fault}");
        }
    }

    #[test]
    fn hunks_are_placed_by_their_lines_and_the_one_above() {
        let text = "def f():\n    run()\n\ndef g():\n    run()\n";
        let cases = [
            // With the numbers of `read`: added lines count on, or have none.
            (
                "@@\n      1\tdef f():\n-     2\t    run()\n+     2\t    walk()\n+    stop()\n      3\t\n      4\tdef g():",
                Some("def f():\n    walk()\n    stop()\n\ndef g():\n    run()\n"),
            ),
            (
                "@@ def g():\n-    run()\n+    walk()",
                Some("def f():\n    run()\n\ndef g():\n    walk()\n"),
            ),
            (
                "@@ def g():\n-run()\n+walk()",
                Some("def f():\n    run()\n\ndef g():\n    walk()\n"),
            ),
            (
                "@@\n def f():\n-    run()\n+    walk()",
                Some("def f():\n    walk()\n\ndef g():\n    run()\n"),
            ),
            (
                "@@ def f():\n+    # first",
                Some("def f():\n    # first\n    run()\n\ndef g():\n    run()\n"),
            ),
            (
                "+end()",
                Some("def f():\n    run()\n\ndef g():\n    run()\nend()\n"),
            ),
            ("@@\n-    run()\n+    walk()", None),
            (
                "@@ def g():\n def g():\n-    run()\n+    walk()",
                Some("def f():\n    run()\n\ndef g():\n    walk()\n"),
            ),
            // Never above the line that it names, and never without that line.
            ("@@ def g():\n-def f():\n+def h():", None),
            ("@@ def nowhere():\n-def f():\n+def h():", None),
            ("@@ run()\n-def g():\n+def h():", None),
            ("@@ def h():\n+x", None),
        ];
        for (lines, want) in cases {
            let got = apply_hunks(text, &hunks(lines))
                .ok()
                .map(|edited| edited.text);
            assert_eq!(got.as_deref(), want, "{lines}");
        }
    }

    #[test]
    fn added_lines_take_the_line_ends_of_their_place() {
        let cases = [
            ("a\r\nb", "+end", "a\r\nb\r\nend\r\n"),
            ("a\nb\n", "+end", "a\nb\nend\n"),
            ("a\r\nb\nc\n", "@@ b\n+x", "a\r\nb\nx\nc\n"),
        ];
        for (text, lines, want) in cases {
            let edited = apply_hunks(text, &hunks(lines)).unwrap();
            assert_eq!(edited.text, want, "{text:?}");
        }
    }
}
