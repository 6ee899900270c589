//! Finds snapshots that no test compares with any more.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::tidy::files;

/// The variable that makes the snapshot library list every file it compares with.
pub(crate) const REFERENCES_VARIABLE: &str = "INSTA_SNAPSHOT_REFERENCES_FILE";

/// Every snapshot of the clone that `references` does not list.
pub(crate) fn unreferenced(root: &Path, references: &Path) -> Result<Vec<PathBuf>> {
    let listed = match fs::read_to_string(references) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        listed => listed.with_context(|| format!("could not read {}", references.display()))?,
    };
    let listed: HashSet<PathBuf> = listed
        .lines()
        .filter_map(|file| fs::canonicalize(file).ok())
        .collect();
    let mut unused: Vec<PathBuf> = files::all(root)?
        .into_iter()
        .filter(|file| file.to_string_lossy().ends_with(".snap"))
        .filter(|file| fs::canonicalize(root.join(file)).is_ok_and(|file| !listed.contains(&file)))
        .collect();
    unused.sort();
    Ok(unused)
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
    fn only_snapshots_that_were_compared_with_are_in_use() {
        let name = format!("omoios-unreferenced-{}", std::process::id());
        let root = xtask::host::temporary_folder().join(name);
        let snapshots = root.join("crates/a/snapshots");
        fs::create_dir_all(&snapshots).unwrap();
        for file in ["used.snap", "unused.snap", "other.txt"] {
            fs::write(snapshots.join(file), "").unwrap();
        }
        let references = root.join("references");
        let before = unreferenced(&root, &references).unwrap();
        let used = snapshots.join("../snapshots/used.snap");
        fs::write(&references, format!("{}\n", used.display())).unwrap();
        let after = unreferenced(&root, &references).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(before.len(), 2);
        assert_eq!(after, [Path::new("crates/a/snapshots/unused.snap")]);
    }
}
