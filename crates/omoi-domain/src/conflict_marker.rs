//! Which lines of a change are conflict markers that somebody forgot to resolve.
//!
//! Git writes `<<<<<<<`, `|||||||`, `=======` and `>>>>>>>` at the start of a line. Any one of them
//! that is left behind is a broken file. A repository may also quote them in its documentation, so
//! only lines that the change brings count, never lines that stood in it before.

use std::collections::{BTreeMap, BTreeSet};

/// A line of a file that starts with a conflict marker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarkerLine {
    /// Path of the file below the repository's root.
    pub path: String,
    /// The whole line, without its end.
    pub text: String,
}

impl MarkerLine {
    /// Whether the line separates the two sides of a conflict. The same line underlines a heading in
    /// Markdown and reStructuredText, so it says nothing in a file that never was in conflict.
    fn is_separator(&self) -> bool {
        self.text.starts_with('=')
    }
}

/// Names the files of `head` that hold a conflict marker which none of `parents` accounts for.
///
/// `head` and each of `parents` are the marker lines of the same set of changed files. A line may
/// move from one file to another; more copies of it than a parent has are new. Separator lines count
/// only in `conflicted` files.
pub fn unresolved_files(
    head: &[MarkerLine],
    parents: &[Vec<MarkerLine>],
    conflicted: &BTreeSet<String>,
) -> BTreeSet<String> {
    let counts = |line: &&MarkerLine| !line.is_separator() || conflicted.contains(&line.path);
    let copies = |lines: &[MarkerLine]| {
        let mut copies: BTreeMap<String, usize> = BTreeMap::new();
        for line in lines.iter().filter(counts) {
            *copies.entry(line.text.clone()).or_default() += 1;
        }
        copies
    };
    let known: Vec<_> = parents.iter().map(|lines| copies(lines)).collect();
    let most_known = |text: &str| {
        let of_parent = known.iter().filter_map(|copies| copies.get(text));
        of_parent.copied().max().unwrap_or(0)
    };
    let added: BTreeSet<String> = copies(head)
        .into_iter()
        .filter(|(text, n)| *n > most_known(text))
        .map(|(text, _)| text)
        .collect();
    // Counted once: an agent may leave a million of them.
    let (now, before) = (
        per_file(head),
        parents
            .iter()
            .map(|lines| per_file(lines))
            .collect::<Vec<_>>(),
    );
    let stood_here = |line: &MarkerLine| {
        let of = |counts: &BTreeMap<&MarkerLine, usize>| counts.get(line).copied().unwrap_or(0);
        before.iter().any(|counts| of(counts) >= of(&now))
    };
    head.iter()
        .filter(counts)
        .filter(|line| added.contains(&line.text) && !stood_here(line))
        .map(|line| line.path.clone())
        .collect()
}

/// How often each line stands in its file.
fn per_file(lines: &[MarkerLine]) -> BTreeMap<&MarkerLine, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[(&str, &str)]) -> Vec<MarkerLine> {
        let line = |(path, text): &(&str, &str)| MarkerLine {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_million_markers_are_counted_in_one_pass() {
        let line = |n: usize| MarkerLine {
            path: "a".to_owned(),
            text: format!("<<<<<<< {}", n % 7),
        };
        let head: Vec<MarkerLine> = (0..1_000_000).map(line).collect();
        let found = unresolved_files(&head, &[Vec::new()], &BTreeSet::new());
        assert_eq!(found, BTreeSet::from(["a".to_owned()]));
    }

    #[test]
    fn only_markers_that_the_change_brings_count() {
        let quoted = [("doc.md", "<<<<<<< ours"), ("doc.md", ">>>>>>> theirs")];
        let heading = [("doc.md", "=======")];
        // Head, its parents, files in conflict, files to name.
        type Case<'a> = (
            &'a [(&'a str, &'a str)],
            &'a [&'a [(&'a str, &'a str)]],
            &'a [&'a str],
            &'a [&'a str],
        );
        let cases: &[Case<'_>] = &[
            (&[], &[&[]], &[], &[]),
            (&[("a", "||||||| 1c9e2b4")], &[&[]], &[], &["a"]),
            (&[("a", "|||||||")], &[&[]], &[], &["a"]),
            (&[("a", "<<<<<<< HEAD")], &[&[]], &[], &["a"]),
            (&[("a", ">>>>>>> theirs")], &[&[]], &[], &["a"]),
            (&quoted, &[&[]], &[], &["doc.md"]),
            (&quoted, &[&quoted], &[], &[]),
            // Quoted on the side that comes in.
            (&quoted, &[&[], &quoted], &["doc.md"], &[]),
            // Moved to another file.
            (&[("new.md", "<<<<<<< ours")], &[&quoted], &[], &[]),
            // One more than before, in another file.
            (
                &[("a", "<<<<<<< ours"), ("doc.md", "<<<<<<< ours")],
                &[&quoted],
                &[],
                &["a"],
            ),
            (&heading, &[&[]], &[], &[]),
            (&heading, &[&[]], &["doc.md"], &["doc.md"]),
            (&heading, &[&heading], &["doc.md"], &[]),
        ];
        for (n, (head, parents, conflicted, want)) in cases.iter().enumerate() {
            let parents: Vec<_> = parents.iter().map(|parent| lines(parent)).collect();
            let conflicted = conflicted.iter().map(|path| (*path).to_owned()).collect();
            let found = unresolved_files(&lines(head), &parents, &conflicted);
            let found: Vec<&str> = found.iter().map(String::as_str).collect();
            assert_eq!(found, *want, "case {n}");
        }
    }
}
