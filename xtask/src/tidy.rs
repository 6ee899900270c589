//! `cargo xtask tidy`: the rules of this code base that no other tool knows.
//!
//! Each rule is a table with the reason for every exception beside it. A finding says where, what
//! and what to do.

mod closed_sets;
mod columns;
mod confined;
mod doc_paths;
mod edges;
mod error_pages;
mod event_page;
mod events;
mod figures;
pub(crate) mod files;
mod glossary;
mod invariants;
mod keys;
mod names;
mod parts;
mod schema;
mod service_map;
mod sizes;
mod storeys;
mod transactions;
mod words;
mod writes;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{Outcome, root};

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// Relative to the top folder.
    file: PathBuf,
    line: usize,
    what: String,
    remedy: String,
}

impl Finding {
    fn new(file: &Path, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.file.display(),
            self.line,
            self.what,
            self.remedy
        )
    }
}

/// Every file with its text.
type Texts<'a> = BTreeMap<&'a Path, &'a str>;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum TidyMode {
    /// Print what breaks a rule.
    #[default]
    Check,
    /// Print every figure.
    Figures,
    /// Print what stands behind one figure.
    List(String),
    /// Take off the lists of names what is not there any more.
    Shrink,
    /// Write the service map again.
    ServiceMap,
    /// Write the page of events again.
    EventPage,
}

impl TidyMode {
    /// Reads the arguments after `tidy`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            [] => Ok(Self::Check),
            ["--figures"] => Ok(Self::Figures),
            ["--list", figure] => Ok(Self::List(figure.to_owned())),
            ["--list"] => Err("`tidy --list` needs a figure; `--figures` names them".to_owned()),
            ["--shrink"] => Ok(Self::Shrink),
            _ => Err(format!("`tidy` does not know `{}`", arguments.join(" "))),
        }
    }
}

/// Does what is asked for with every file of the clone.
pub(crate) fn run(mode: &TidyMode) -> Result<Outcome> {
    let root = root();
    let files = files::all(&root)?;
    // A file that is not text has no lines to complain about.
    let texts: Vec<(&PathBuf, String)> = files
        .iter()
        .filter_map(|file| Some((file, std::fs::read_to_string(root.join(file)).ok()?)))
        .collect();
    let all: Texts<'_> = texts
        .iter()
        .map(|(file, text)| (file.as_path(), text.as_str()))
        .collect();
    match mode {
        TidyMode::Check => Ok(print_findings(files.len(), &check(&root, &all))),
        TidyMode::Figures => Ok(figures::print_all(&all)),
        TidyMode::List(figure) => figures::print_offenders(&all, figure),
        TidyMode::Shrink => names::shrink(&root, &all).map(|()| Outcome::Done),
        TidyMode::ServiceMap => service_map::write(&root, &all).map(|()| Outcome::Done),
        TidyMode::EventPage => event_page::write(&root, &all).map(|()| Outcome::Done),
    }
}

fn check(root: &Path, all: &Texts<'_>) -> Vec<Finding> {
    let machine = words::machine_paths(root);
    let mut findings = Vec::new();
    for (file, text) in all {
        findings.extend(edges::check(file, text));
        findings.extend(parts::check(file, text));
        findings.extend(sizes::check(file, text));
        findings.extend(storeys::check(file, text));
        findings.extend(words::check(file, text, &machine));
    }
    findings.extend(closed_sets::check(all));
    findings.extend(columns::check(all));
    findings.extend(confined::check(all));
    findings.extend(doc_paths::check(all));
    findings.extend(glossary::check(all));
    findings.extend(invariants::check(all));
    findings.extend(keys::check(all));
    findings.extend(names::check(all));
    findings.extend(service_map::check(all));
    findings.extend(error_pages::check(all));
    findings.extend(event_page::check(all));
    findings.extend(events::check(all));
    findings.extend(transactions::check(all));
    findings.extend(writes::check(all));
    findings
}

fn print_findings(n_files: usize, findings: &[Finding]) -> Outcome {
    for finding in findings {
        eprintln!("{finding}");
    }
    println!("tidy: {n_files} files, {} findings", findings.len());
    if findings.is_empty() {
        Outcome::Done
    } else {
        Outcome::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        for (line, expected) in [
            ("", Ok(TidyMode::Check)),
            ("--figures", Ok(TidyMode::Figures)),
            (
                "--list short-docs",
                Ok(TidyMode::List("short-docs".to_owned())),
            ),
            ("--shrink", Ok(TidyMode::Shrink)),
        ] {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(TidyMode::parse(&arguments), expected, "{line}");
        }
        assert!(TidyMode::parse(&["--list".to_owned()]).is_err());
        assert!(TidyMode::parse(&["--fix".to_owned()]).is_err());
    }
}
