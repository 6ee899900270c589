//! The files of the repository as planning sees them: names only, no access.

use std::collections::BTreeSet;
use std::ops::Bound;

/// The tracked files of the repository at the spec's base commit, relative to its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepoPaths {
    files: BTreeSet<String>,
}

/// Where a cited path points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathLocation {
    /// A tracked file.
    File,
    /// A folder with tracked files below it.
    Folder,
    /// Inside the repository, but nothing is there.
    Missing,
    /// Absolute, climbing out, or not a path at all.
    Outside,
}

impl PathLocation {
    /// Whether something tracked is there.
    pub const fn exists(self) -> bool {
        matches!(self, Self::File | Self::Folder)
    }
}

impl RepoPaths {
    /// The set of `files`, each as `git ls-files` prints it.
    pub fn new(files: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            files: files.into_iter().map(Into::into).collect(),
        }
    }

    /// Where `path` points.
    pub fn locate(&self, path: &str) -> PathLocation {
        let Some(clean) = clean_path(path) else {
            return PathLocation::Outside;
        };
        if clean.is_empty() {
            return PathLocation::Folder;
        }
        if self.files.contains(&clean) {
            return PathLocation::File;
        }
        let folder = format!("{clean}/");
        let next = self
            .files
            .range::<str, _>((Bound::Included(folder.as_str()), Bound::Unbounded))
            .next();
        match next {
            Some(file) if file.starts_with(&folder) => PathLocation::Folder,
            _ => PathLocation::Missing,
        }
    }

    /// All files, sorted.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Whether no file is tracked.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// `path` relative to the root without `.`, doubled or trailing slashes; none when it leaves the
/// repository or cannot be a path.
///
/// `..` is refused even where it would stay inside: a citation has no need of it.
pub fn clean_path(path: &str) -> Option<String> {
    let path = path.trim();
    let drive = path.as_bytes().get(1) == Some(&b':');
    if path.is_empty() || path.starts_with(['/', '~', '\\']) || drive || path.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.contains(&"..") {
        return None;
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locates_files_folders_and_strangers() {
        let repo = RepoPaths::new(["src/a.rs", "src-old/b.rs", "README.md"]);
        for (path, expected) in [
            ("src/a.rs", PathLocation::File),
            ("./src//a.rs", PathLocation::File),
            ("src", PathLocation::Folder),
            ("src/", PathLocation::Folder),
            (".", PathLocation::Folder),
            ("sr", PathLocation::Missing),
            ("src/b.rs", PathLocation::Missing),
            ("", PathLocation::Outside),
            ("/etc/passwd", PathLocation::Outside),
            ("../x", PathLocation::Outside),
            ("src/../../x", PathLocation::Outside),
            ("~/x", PathLocation::Outside),
            ("C:\\x", PathLocation::Outside),
        ] {
            assert_eq!(repo.locate(path), expected, "{path}");
        }
    }
}
