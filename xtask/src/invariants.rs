//! The rows that proofs of invariants told when the tests ran last, with their figures.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The variable that makes proofs add their rows to a file (`omoi_testkit::invariant`).
pub const ROWS_VARIABLE: &str = "OMOI_INVARIANT_ROWS";
/// Ids of the specification whose proofs are built.
const IDS: [&str; 20] = [
    "API1", "API2", "API3", "API4", "API5", "API6", "API7", "API8", "API9", "API10", "G5", "R7",
    "S1", "S10", "S2", "S3", "S4", "S5", "S8", "S9",
];

/// Where the rows of the last run are kept.
pub fn rows_file(root: &Path) -> PathBuf {
    root.join("target/invariant-rows.txt")
}

/// The rows in `file`, sorted by id, each once: some tests run a second time as another user. None where no proof ran.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_rows(file: &Path) -> Result<Vec<String>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("could not read {}", file.display()))?,
    };
    let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
    rows.sort();
    rows.dedup();
    Ok(rows)
}

/// Lets rows through that tell of every invariant.
///
/// # Errors
/// When one has no row: its proof did not run.
pub fn expect_all(rows: &[String]) -> Result<()> {
    let is_told = |id: &str| rows.iter().any(|row| row.starts_with(&format!("{id}: ")));
    let missing: Vec<&str> = IDS.into_iter().filter(|id| !is_told(id)).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => bail!("no proof told a row of {}", missing.join(", ")),
    }
}

/// Prints the rows of the last run.
///
/// # Errors
/// When they cannot be read, or one of the invariants has none.
pub fn print_last(root: &Path) -> Result<()> {
    let rows = read_rows(&rows_file(root))?;
    for row in &rows {
        println!("{row}");
    }
    expect_all(&rows).context("run `cargo xtask test` first, without a filter")
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use super::*;

    #[test]
    fn rows_are_sorted_and_each_invariant_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows");
        assert!(read_rows(&file).unwrap().is_empty());
        let items: String = (1..=10).map(|n| format!("API{n}: a\n")).collect();
        let others = "S9: a\nS1: m\nS3: b\nG5: c\nS3: b\nS4: d\nS5: e\nS8: f\nS4: canaries\nR7: k\nS2: r\nS10: h\n";
        fs::write(&file, format!("{items}{others}")).unwrap();
        let rows = read_rows(&file).unwrap();
        assert_eq!(rows.len(), 21);
        assert_eq!(rows[10..14], ["G5: c", "R7: k", "S10: h", "S1: m"]);
        assert!(expect_all(&rows).is_ok());
        let error = expect_all(&rows[1..20]).unwrap_err().to_string();
        assert_eq!(error, "no proof told a row of API10, S9");
    }
}
