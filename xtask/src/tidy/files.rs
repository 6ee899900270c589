//! The files of the clone, as far as rules reach.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Texts;

/// Lists the files under `root`, relative to it, in a fixed order.
///
/// Hidden folders and build output are left out. Git is not asked: a copy without history is
/// checked just the same.
pub(crate) fn all(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("could not list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name();
            let kind = entry.file_type()?;
            if kind.is_dir() && !is_outside(&name.to_string_lossy()) {
                folders.push(path);
            } else if kind.is_file() {
                files.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Lines before the tests that end a file, numbered from 1.
pub(crate) fn lines_without_tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = (1..).zip(text.lines()).peekable();
    std::iter::from_fn(move || {
        let (number, line) = lines.next()?;
        let tests_follow = line == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|(_, next)| next.starts_with("mod ") && next.ends_with('{'));
        (!tests_follow).then_some((number, line))
    })
    .fuse()
}

/// The tests that end a file; nothing when it has none.
pub(crate) fn tests_of(text: &str) -> &str {
    let start = text.find("\n#[cfg(test)]\nmod ");
    &text[start.unwrap_or(text.len())..]
}

/// The pages that tell how things are today. Decisions speak of the day they were made, the list of changes of
/// the past, prompts to agents.
pub(super) fn prose<'a, 'b>(
    texts: &'b Texts<'a>,
) -> impl Iterator<Item = (&'a Path, &'a str)> + use<'a, 'b> {
    let files = texts.iter().map(|(file, text)| (*file, *text));
    files.filter(|(file, _)| {
        let is_page = file.extension().is_some_and(|ending| ending == "md");
        let is_dated = file.starts_with("docs/decisions") || *file == Path::new("CHANGELOG.md");
        let folder = file.parent().unwrap_or(Path::new(""));
        let is_readme = file.ends_with("README.md") && !folder.ends_with("prompts");
        let is_place = folder == Path::new("") || folder.starts_with("docs") || is_readme;
        is_page && is_place && !is_dated
    })
}

/// Whether the whole file is tests.
pub(crate) fn is_test(file: &Path) -> bool {
    file.iter()
        .any(|part| part == "tests" || part == "tests.rs" || part == "benches")
}

/// The lines of the outermost functions before the tests, each with its number.
///
/// Goes by the indentation that `rustfmt` gives: a function ends at the first brace as deep as its
/// beginning.
pub(crate) fn functions(text: &str) -> Vec<Vec<(usize, &str)>> {
    let mut functions = Vec::new();
    let mut open: Option<(usize, Vec<(usize, &str)>)> = None;
    for (number, line) in lines_without_tests(text) {
        let depth = line.len() - line.trim_start().len();
        if open.is_none() && is_signature(line.trim_start()) {
            open = Some((depth, Vec::new()));
        }
        let Some((begin, lines)) = &mut open else {
            continue;
        };
        let begin = *begin;
        lines.push((number, line));
        let ends = depth == begin && (line.trim_end().ends_with('}') || line.ends_with(';'));
        if ends && let Some((_, lines)) = open.take() {
            functions.push(lines);
        }
    }
    functions
}

fn is_signature(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let front =
        |word: &&str| word.starts_with("pub") || ["async", "const", "unsafe", "in"].contains(word);
    words.find(|word| !front(word)) == Some("fn")
}

fn is_outside(folder: &str) -> bool {
    folder.starts_with('.') || matches!(folder, "target" | "node_modules")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_apart() {
        let text = "use a;\npub(crate) async fn one(\n    a: u8,\n) -> u8 {\n    fn inner() {\n    }\n}\nconst X: u8 = 1;\n\
                    impl A {\n    fn two() {}\n    const fn three() {\n        2\n    }\n}\n";
        let numbers: Vec<(usize, usize)> = functions(text)
            .iter()
            .filter_map(|lines| Some((lines.first()?.0, lines.last()?.0)))
            .collect();
        assert_eq!(numbers, [(2, 7), (10, 10), (11, 13)]);
    }

    #[test]
    fn tests_end_a_file() {
        let text = "one\n#[cfg(test)]\nuse two;\n#[cfg(test)]\nmod tests {\nthree\n}\n";
        let seen: Vec<_> = lines_without_tests(text).collect();
        assert_eq!(seen, [(1, "one"), (2, "#[cfg(test)]"), (3, "use two;")]);
    }
}
