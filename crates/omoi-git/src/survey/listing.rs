//! The files of a repository and which of them are worth reading.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ignore::WalkBuilder;

use crate::mirror::{EntryKind, FileEntry};
use crate::object::RepoPath;

/// The contents read for one survey, together.
pub(super) const READ_BYTES_MAX: usize = 32 << 20;

const READ_FILES_MAX: usize = 150;
const MANIFEST_BYTES_MAX: u64 = 256 << 10;
const MANIFEST_DEPTH_MAX: usize = 4;
const SAMPLES_MAX: usize = 12;
const SAMPLE_BYTES_MAX: u64 = 64 << 10;
const HUGE_FILE_BYTES: u64 = 50 << 20;

/// Names of files whose content decides something.
const MANIFESTS: &[&str] = &[
    ".gitattributes",
    ".node-version",
    ".nvmrc",
    ".python-version",
    ".ruby-version",
    ".tool-versions",
    "CMakeLists.txt",
    "Cargo.toml",
    "GNUmakefile",
    "Gemfile",
    "Justfile",
    "Makefile",
    "Makefile.am",
    "Package.swift",
    "Pipfile",
    "Rakefile",
    "Taskfile.yml",
    "build.gradle",
    "build.gradle.kts",
    "build.zig",
    "composer.json",
    "configure.ac",
    "deno.json",
    "deno.jsonc",
    "go.mod",
    "go.work",
    "justfile",
    "makefile",
    "meson.build",
    "mix.exs",
    "package.json",
    "pom.xml",
    "pyproject.toml",
    "pytest.ini",
    "requirements-dev.txt",
    "requirements-test.txt",
    "requirements.txt",
    "requirements_dev.txt",
    "rust-toolchain",
    "rust-toolchain.toml",
    "setup.cfg",
    "setup.py",
    "tox.ini",
];

/// Folders with other people's code: not the project's languages, not its manifests.
const VENDORED: &[&str] = &[
    ".venv",
    "Pods",
    "bower_components",
    "node_modules",
    "site-packages",
    "third-party",
    "third_party",
    "vendor",
    "venv",
];

/// Folders with projects that are not the project: their manifests decide nothing.
const ASIDE: &[&str] = &[
    "__fixtures__",
    "example",
    "examples",
    "fixtures",
    "samples",
    "templates",
    "testdata",
];

/// One file with a name that is text, and what its path says of it.
pub(super) struct FileInfo {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) executable: bool,
    /// Its place in the list the listing was made from.
    pub(super) source: usize,
    /// How many folders it lies in.
    pub(super) depth: usize,
    /// Whether the file lies in a folder of other people's code.
    pub(super) vendored: bool,
    /// Not part of the project proper: vendored, an example, a fixture.
    pub(super) aside: bool,
    /// The naming habit that makes it a test.
    pub(super) test_rule: Option<usize>,
    pub(super) language: Option<&'static str>,
}

impl FileInfo {
    fn new(path: &str, bytes: u64, executable: bool, source: usize) -> Self {
        let folders = || path.split('/').rev().skip(1);
        let vendored = folders().any(|part| VENDORED.contains(&part));
        Self {
            path: path.to_owned(),
            bytes,
            executable,
            source,
            depth: folders().count(),
            vendored,
            aside: vendored || folders().any(|part| ASIDE.contains(&part)),
            test_rule: super::test_paths::first_rule(path),
            language: super::languages::language_of_path(path),
        }
    }

    pub(super) fn is_test(&self) -> bool {
        self.test_rule.is_some()
    }

    /// What follows the last dot of the name; empty without one.
    pub(super) fn file_extension(&self) -> &str {
        self.file_name()
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension)
    }

    pub(super) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Every file, in order of path, and counts of what is not an ordinary file.
#[derive(Default)]
pub(super) struct FileListing {
    pub(super) files: Vec<FileInfo>,
    pub(super) files_count: u64,
    pub(super) bytes: u64,
    odd_names: Vec<String>,
    huge: Vec<(u64, String)>,
    links: u64,
    submodules: Vec<String>,
    unreadable: Vec<String>,
}

impl FileListing {
    pub(super) fn of_commit(entries: &[FileEntry]) -> Self {
        let mut listing = Self::default();
        for (source, entry) in entries.iter().enumerate() {
            listing.add_file(&entry.path, entry.kind, entry.bytes, source);
        }
        listing.into_sorted()
    }

    pub(super) fn of_dir(dir: &Path) -> Self {
        let mut listing = Self::default();
        let walk = WalkBuilder::new(dir)
            .standard_filters(false)
            .git_ignore(true)
            .require_git(false)
            .follow_links(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    listing.unreadable.push(error.to_string());
                    continue;
                }
            };
            let Ok(path) = entry.path().strip_prefix(dir) else {
                continue;
            };
            let path = RepoPath::from_git(path.as_os_str().as_bytes());
            let kind = match entry.file_type() {
                Some(kind) if kind.is_file() => EntryKind::File,
                Some(kind) if kind.is_symlink() => EntryKind::Symlink,
                _ => continue,
            };
            match entry.metadata() {
                Ok(meta) => {
                    use std::os::unix::fs::PermissionsExt as _;
                    let runs = kind == EntryKind::File && meta.permissions().mode() & 0o111 != 0;
                    let kind = if runs { EntryKind::Executable } else { kind };
                    listing.add_file(&path, kind, meta.len(), 0);
                }
                Err(_) => listing.unreadable.push(path.to_string()),
            }
        }
        listing.into_sorted()
    }

    fn add_file(&mut self, path: &RepoPath, kind: EntryKind, bytes: u64, source: usize) {
        if kind == EntryKind::Submodule {
            self.submodules.push(path.to_string());
            return;
        }
        self.files_count += 1;
        self.bytes += bytes;
        if kind == EntryKind::Symlink {
            self.links += 1;
            return;
        }
        if bytes >= HUGE_FILE_BYTES {
            self.huge.push((bytes, path.to_string()));
        }
        match path.as_str() {
            Some(text) if !text.contains(char::is_control) => self.files.push(FileInfo::new(
                text,
                bytes,
                kind == EntryKind::Executable,
                source,
            )),
            _ => self.odd_names.push(path.to_string()),
        }
    }

    fn into_sorted(mut self) -> Self {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        self.huge
            .sort_by_key(|(bytes, path)| (Reverse(*bytes), path.clone()));
        self.odd_names.sort();
        self.submodules.sort();
        self.unreadable.sort();
        self
    }

    /// The files to read, shallow ones first: manifests, then a few tests to see how they are made.
    pub(super) fn worth_reading(&self) -> Vec<usize> {
        let mut manifests = Vec::new();
        let mut samples: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (n, file) in self.files.iter().enumerate() {
            if file.bytes == 0 || file.aside {
                continue;
            }
            let name = file.file_name();
            let known = MANIFESTS.binary_search(&name).is_ok() || name.ends_with(".gemspec");
            if known && file.bytes <= MANIFEST_BYTES_MAX && file.depth <= MANIFEST_DEPTH_MAX {
                manifests.push(n);
            } else if file.bytes <= SAMPLE_BYTES_MAX && file.is_test() {
                for extension in [".py", ".js", ".mjs", ".ts"] {
                    if name.ends_with(extension) {
                        samples.entry(extension).or_default().push(n);
                    }
                }
            }
        }
        let shallow = |n: &usize| (self.files[*n].depth, *n);
        manifests.sort_by_key(shallow);
        manifests.truncate(READ_FILES_MAX);
        for of_kind in samples.values_mut() {
            of_kind.sort_by_key(shallow);
            manifests.extend(of_kind.iter().take(SAMPLES_MAX));
        }
        manifests
    }

    /// Reads the chosen files; one that cannot be read counts as empty and is noted.
    pub(super) fn read_files(&mut self, dir: &Path, chosen: &[usize]) -> Vec<Vec<u8>> {
        let mut contents = Vec::with_capacity(chosen.len());
        for n in chosen {
            let path = &self.files[*n].path;
            let mut content = Vec::new();
            let read = File::open(dir.join(path))
                .and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_end(&mut content));
            if read.is_err() {
                self.unreadable.push(path.clone());
            }
            contents.push(content);
        }
        contents
    }

    /// Names the submodules, whose folders are empty in every checkout.
    pub(super) fn unfetched_submodules(&self) -> Option<String> {
        let names = self.submodules.join(", ");
        (!names.is_empty())
            .then(|| format!("submodules are not fetched, their folders stay empty: {names}"))
    }

    pub(super) fn listing_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (bytes, path) in self.huge.iter().take(5) {
            notes.push(format!("Large file: {path} ({} MiB).", bytes >> 20));
        }
        if let Some(first) = self.odd_names.first() {
            let n = self.odd_names.len();
            notes.push(format!(
                "{n} file names are not plain text, such as {first}."
            ));
        }
        if self.links > 0 {
            notes.push(format!("Symbolic links: {}.", self.links));
        }
        if let Some(first) = self.unreadable.first() {
            let n = self.unreadable.len();
            notes.push(format!(
                "Entries that could not be read: {n}, such as {first}."
            ));
        }
        let vendored = self.files.iter().filter(|f| f.vendored).count();
        if vendored > 0 {
            notes.push(format!(
                "Vendored files left out of the languages: {vendored}."
            ));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [MANIFESTS, VENDORED, ASIDE] {
            assert!(table.is_sorted(), "{table:?}");
        }
    }
}
