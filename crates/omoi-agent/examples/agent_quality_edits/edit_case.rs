//! The edits that make one release of a package from the one before.

use std::path::Path;

use omoi_agent::edit_text::has_both_ends;
use similar::{DiffOp, TextDiff};

use crate::Fallible;

/// Endings of files that people write by hand.
const ENDINGS: [&str; 12] = [
    "rs", "js", "ts", "mjs", "cjs", "jsx", "tsx", "py", "go", "java", "md", "toml",
];
const FILE_BYTES_MAX: u64 = 400 << 10;
/// Lines of an edit: a longer one is a file written anew.
const LINES_MAX: usize = 50;
/// Lines around a change that a model gives with it: as many as those of a patch.
const CONTEXT_LINES: usize = 3;
/// Edits of one file at most.
const FILE_EDITS_MAX: usize = 5;

/// One change of a file.
pub(crate) struct EditCase {
    pub(crate) path: String,
    /// The whole file before.
    pub(crate) text: String,
    /// The whole file after this change and no other.
    pub(crate) wanted: String,
    /// The lines of the change with some around them, before and after.
    pub(crate) old: Vec<String>,
    pub(crate) new: Vec<String>,
    /// The first of the lines, counted from 0.
    pub(crate) first: usize,
    /// How many lines at its begin and end stay as they are.
    pub(crate) kept: [usize; 2],
}

/// Edits that lead from `older` to `newer`, `most` of them.
pub(crate) fn cases_between(older: &Path, newer: &Path, most: usize) -> Fallible<Vec<EditCase>> {
    let mut paths = Vec::new();
    collect_files(older, "", &mut paths)?;
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let (Ok(before), Ok(after)) = (
            std::fs::read_to_string(older.join(&path)),
            std::fs::read_to_string(newer.join(&path)),
        ) else {
            continue;
        };
        if before != after {
            cases.extend(
                cases_of_file(&path, &before, &after)
                    .into_iter()
                    .take(FILE_EDITS_MAX),
            );
        }
        if cases.len() >= most {
            break;
        }
    }
    cases.truncate(most);
    Ok(cases)
}

fn collect_files(folder: &Path, below: &str, paths: &mut Vec<String>) -> Fallible<()> {
    for entry in std::fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match below {
            "" => name.clone(),
            below => format!("{below}/{name}"),
        };
        let is_built = ["dist", "node_modules"].contains(&name.as_str());
        let is_known = || {
            let ending = path.rsplit_once('.').map(|(_, ending)| ending);
            ending.is_some_and(|ending| ENDINGS.contains(&ending))
        };
        let meta = entry.metadata()?;
        if meta.is_dir() && !is_built {
            collect_files(folder, &path, paths)?;
        } else if meta.is_file() && meta.len() <= FILE_BYTES_MAX && is_known() {
            paths.push(path);
        }
    }
    Ok(())
}

fn cases_of_file(path: &str, before: &str, after: &str) -> Vec<EditCase> {
    let diff = TextDiff::from_lines(before, after);
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) = (
        before.split_inclusive('\n').collect(),
        after.split_inclusive('\n').collect(),
    );
    let mut cases = Vec::new();
    for group in diff.grouped_ops(CONTEXT_LINES) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let (old, new) = (
            first.old_range().start..last.old_range().end,
            first.new_range().start..last.new_range().end,
        );
        // A change without a line of the file around it has no place that a text could show.
        if old.is_empty() || old.len().max(new.len()) > LINES_MAX {
            continue;
        }
        let kept = [first, last].map(|op| match op {
            DiffOp::Equal { len, .. } => *len,
            _ => 0,
        });
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let mut wanted = old_lines[..old.start].concat();
        wanted.push_str(&new_lines[new.clone()].concat());
        wanted.push_str(&old_lines[old.end..].concat());
        // Which of two line ends an added line has, a text in another dress does not tell.
        if has_both_ends(before) || has_both_ends(&wanted) {
            continue;
        }
        cases.push(EditCase {
            path: path.to_owned(),
            text: before.to_owned(),
            wanted,
            old: lines(&old_lines[old.clone()]),
            new: lines(&new_lines[new]),
            first: old.start,
            kept,
        });
    }
    cases
}
