//! The files of the clone, as far as rules reach.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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

fn is_outside(folder: &str) -> bool {
    folder.starts_with('.') || matches!(folder, "target" | "node_modules")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_end_a_file() {
        let text = "one\n#[cfg(test)]\nuse two;\n#[cfg(test)]\nmod tests {\nthree\n}\n";
        let seen: Vec<_> = lines_without_tests(text).collect();
        assert_eq!(seen, [(1, "one"), (2, "#[cfg(test)]"), (3, "use two;")]);
    }
}
