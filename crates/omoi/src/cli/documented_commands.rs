//! Every command that the documentation tells people to type is one that the program takes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;

use super::Cli;
use super::printed_commands::{is_only_named, shell_words};

/// In place of what a text calls `ID`.
const SOME_ID: &str = "01930000-0000-7000-8000-000000000001";

/// The pages that people read, decisions left out: those tell of what was rejected, too.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["docs", "docs/errors"].map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let entries = folders.into_iter().flatten();
    let pages = entries.map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = pages
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
        .collect();
    pages.extend(["README.md", "SECURITY.md", "ARCHITECTURE.md"].map(|name| root.join(name)));
    pages.sort();
    pages
}

/// The commands of a page: lines of its blocks that begin with one, variables and what `&&` separates before it left out, and
/// what stands between two backticks.
fn documented_commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_block = false;
    for line in page.lines() {
        if line.starts_with("```") {
            is_block = !is_block;
        } else if is_block {
            let typed = line.rsplit("&& ").next().unwrap_or(line);
            let typed = typed
                .split_whitespace()
                .skip_while(|word| word.contains('='));
            if typed.clone().next() == Some("omoi") {
                let at = line.find("omoi ").unwrap_or_default();
                found.push(line[at..].to_owned());
            }
        }
        let spans = line.split('`').skip(1).step_by(2);
        found.extend(
            spans
                .filter(|span| span.starts_with("omoi "))
                .map(str::to_owned),
        );
    }
    found
}

/// The words of `command`, up to what a page says of it.
fn typed_words(command: &str) -> Vec<String> {
    let ends = ["  ", " #", " > ", " < ", " `"];
    let command = ends
        .iter()
        .fold(command, |text, end| text.split(end).next().unwrap_or(text));
    let words = shell_words(&command.replace('"', "\u{1}"));
    let filled = words.into_iter().map(|word| match word.as_str() {
        "ID" => SOME_ID.to_owned(),
        "MAIL" => "ada@example.org".to_owned(),
        "SPEC-n" | "TSK-n" => word.replace('n', "1"),
        _ => word,
    });
    filled.collect()
}

#[test]
fn every_documented_command_is_one_that_is_taken() {
    let (mut n_taken, mut refused) = (0, Vec::new());
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for command in documented_commands(&page) {
            let words = typed_words(&command);
            match Cli::try_parse_from(&words) {
                _ if words.iter().any(|word| word.ends_with('…')) => {}
                Ok(_) => n_taken += 1,
                Err(error) if is_only_named(&error) || !error.use_stderr() => n_taken += 1,
                Err(error) => refused.push(format!("{}: {words:?}: {error}", path.display())),
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(n_taken > 100, "{n_taken}");
}
