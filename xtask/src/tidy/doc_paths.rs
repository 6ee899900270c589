//! What the docs name exists: files between backticks, and links.

use std::path::{Component, Path, PathBuf};

use super::files::prose;
use super::{Finding, Texts};

/// Folders of the clone that a name between backticks begins with when it is a file.
const TOPS: &[&str] = &["crates/", "docs/", "xtask/", "corpus/"];

/// Checks every page but the decisions, which speak of the day they were made.
pub(super) fn check(texts: &Texts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, text) in prose(texts) {
        for (number, line) in (1..).zip(text.lines()) {
            let named = named_files(line).map(|name| (name, name_path(name)));
            let linked = links(line).map(|name| (name, link_path(file, name)));
            for (name, path) in named.chain(linked) {
                if !is_there(&path, texts) {
                    let what = format!("`{name}` does not exist");
                    findings.push(Finding::new(file, number, what, "name the file that does"));
                }
            }
        }
    }
    findings
}

/// Names between backticks that are files of the clone: `crates/omoi/src/cli.rs`, `omoi-domain/src/event.rs`.
/// Those with a placeholder stand for many files.
pub(super) fn named_files(line: &str) -> impl Iterator<Item = &str> {
    let spans = line.split('`').skip(1).step_by(2);
    spans.filter(|span| {
        let is_inside = TOPS.iter().any(|top| span.starts_with(top))
            || span.split_once('/').is_some_and(|(first, _)| {
                first.starts_with("omoi-")
                    && !first.contains(|c: char| !(c == '-' || c.is_alphanumeric()))
            });
        is_inside && !span.contains(|c: char| " <>{}*…".contains(c))
    })
}

/// A crate may stand without the folder that all crates are in.
pub(super) fn name_path(name: &str) -> PathBuf {
    let name = name.trim_end_matches('/');
    match name.starts_with("omoi-") {
        true => Path::new("crates").join(name),
        false => PathBuf::from(name),
    }
}

/// Relative links, without the heading that they lead to.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0));
    let targets = targets.filter_map(|target| target.split('#').next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

fn link_path(page: &Path, target: &str) -> PathBuf {
    let mut path = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// Whether `path` is a file, or a folder with a file in it.
pub(super) fn is_there(path: &Path, texts: &Texts<'_>) -> bool {
    let mut after = texts.range(path..);
    after.next().is_some_and(|(file, _)| file.starts_with(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(page: &str, text: &str) -> usize {
        let texts: Texts<'_> = [
            (Path::new(page), text),
            (Path::new("crates/omoi-git/src/mirror.rs"), ""),
            (Path::new("docs/testing.md"), ""),
        ]
        .into();
        check(&texts).len()
    }

    #[test]
    fn named_files_exist() {
        for (text, count) in [
            ("`crates/omoi-git/src/mirror.rs`", 0),
            ("`omoi-git/src/mirror.rs` and `omoi-git/src/`", 0),
            ("`omoi-git/src/other.rs`", 1),
            ("`crates/omoi-git/src/mirror`", 1),
            (
                "`crates/<crate>/README.md`, `cargo xtask test`, `crates`",
                0,
            ),
        ] {
            assert_eq!(findings("ARCHITECTURE.md", text), count, "{text}");
        }
    }

    #[test]
    fn links_lead_somewhere() {
        for (page, text, count) in [
            ("README.md", "[tests](docs/testing.md#figures)", 0),
            ("docs/errors/a.md", "[tests](../testing.md)", 0),
            ("docs/errors/a.md", "[tests](testing.md)", 1),
            ("README.md", "[out](https://example.org/x.md)", 0),
            ("docs/decisions/a.md", "[gone](gone.md)", 0),
        ] {
            assert_eq!(findings(page, text), count, "{page}: {text}");
        }
    }
}
