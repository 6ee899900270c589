//! `cargo xtask tidy`: the rules of this code base that no other tool knows.
//!
//! Each rule is a table with the reason for every exception beside it. A finding says where, what
//! and what to do.

mod closed_sets;
mod columns;
mod edges;
mod events;
pub(crate) mod files;
mod keys;
mod sizes;
mod storeys;
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

/// Prints every finding.
pub(crate) fn run() -> Result<Outcome> {
    let root = root();
    let files = files::all(&root)?;
    let machine = words::machine_paths(&root);
    let mut findings = Vec::new();
    // A file that is not text has no lines to complain about.
    let texts: Vec<(&PathBuf, String)> = files
        .iter()
        .filter_map(|file| Some((file, std::fs::read_to_string(root.join(file)).ok()?)))
        .collect();
    for (file, text) in &texts {
        findings.extend(edges::check(file, text));
        findings.extend(sizes::check(file, text));
        findings.extend(storeys::check(file, text));
        findings.extend(words::check(file, text, &machine));
    }
    let all: Texts<'_> = texts
        .iter()
        .map(|(file, text)| (file.as_path(), text.as_str()))
        .collect();
    findings.extend(closed_sets::check(&all));
    findings.extend(columns::check(&all));
    findings.extend(keys::check(&all));
    findings.extend(events::check(&all));
    findings.extend(writes::check(&all));
    for finding in &findings {
        eprintln!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    Ok(if findings.is_empty() {
        Outcome::Done
    } else {
        Outcome::Refused
    })
}
