//! The lines of a changelog about one release.

use std::path::Path;

const NAMES: [&str; 6] = [
    "CHANGELOG.md",
    "Changelog.md",
    "CHANGES.md",
    "RELEASES.md",
    "History.md",
    "HISTORY.md",
];
/// Words of a line that say something at least.
const WORDS_MIN: usize = 4;
/// Lines about what a package depends on say nothing about its source.
const ABOUT_OTHERS: [&str; 6] = ["bump", "deps", "dependenc", "msrv", "readme", "release"];

/// What the changelog in `folder` says changed in `version`, a line each.
pub(crate) fn release_notes(folder: &Path, version: &str) -> Option<Vec<String>> {
    let text = NAMES
        .iter()
        .find_map(|name| std::fs::read_to_string(folder.join(name)).ok())?;
    let mut lines = text
        .lines()
        .skip_while(|line| !is_heading_of(line, version));
    lines.next()?;
    let mut notes: Vec<String> = Vec::new();
    for line in lines.take_while(|line| !is_any_heading(line)) {
        let trimmed = line.trim_start();
        let item = ["- ", "* ", "+ "]
            .iter()
            .find_map(|mark| trimmed.strip_prefix(mark));
        match (item, notes.last_mut()) {
            (Some(item), _) => notes.push(item.trim().to_owned()),
            (None, Some(last)) if line.starts_with("  ") && !trimmed.is_empty() => {
                last.push(' ');
                last.push_str(trimmed);
            }
            _ => {}
        }
    }
    let notes = notes.into_iter().map(|note| plain_words(&note));
    let says_something = |note: &String| {
        let lower = note.to_lowercase();
        let words = note.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.filter(|word| word.len() >= 3).count() >= WORDS_MIN
            && !ABOUT_OTHERS.iter().any(|other| lower.contains(other))
    };
    Some(notes.filter(says_something).collect())
}

fn is_any_heading(line: &str) -> bool {
    let is_marked = line.starts_with('#') || line.starts_with(|c: char| c.is_ascii_digit());
    let is_version = |word: &str| {
        word.split('.').count() >= 3
            && word
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut words = line.split(|c: char| !c.is_ascii_digit() && c != '.');
    is_marked && words.any(is_version)
}

fn is_heading_of(line: &str, version: &str) -> bool {
    let mut words = line.split(|c: char| !c.is_ascii_digit() && c != '.');
    is_any_heading(line) && words.any(|word| word == version)
}

/// A line without links, numbers of requests and names of people.
fn plain_words(note: &str) -> String {
    let mut out = String::new();
    let mut rest = note;
    while let Some(at) = rest.find("](") {
        out.push_str(&rest[..at]);
        rest = rest[at + 2..]
            .split_once(')')
            .map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    let words = out.split_whitespace().filter(|word| {
        let is_reference = word.contains("://") || word.contains('@') || word.contains('#');
        let is_commit = word.len() >= 7
            && word
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || b"()[]".contains(&b));
        !is_reference && !is_commit
    });
    let words: Vec<&str> = words.collect();
    words.join(" ").replace(['[', ']', '*'], "")
}
