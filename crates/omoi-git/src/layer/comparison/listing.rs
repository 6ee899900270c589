//! Everything that lies in a layer, read once: no link is followed and nothing outside is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::node::{NodePart, ProgramScript, is_package_folder};
use super::python::{PythonPackage, is_path_list, runs_code};
use super::stores::is_crate_index;
use crate::layer::package_tree::is_kept;

/// Longest list of files, manifest or index of one package that is read.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Longest file in which the place of the workspace is looked for.
const SCRIPT_BYTES_MAX: u64 = 1 << 20;

pub(super) type FileDigest = [u8; 32];

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryState {
    /// A file.
    Plain { runs: bool, digest: FileDigest },
    /// A link, and its target as it is written.
    Link(String),
}

/// What lies in a layer. Folders are not listed: they are where something lies in them.
#[derive(Clone, Debug, Default)]
pub(in crate::layer) struct LayerListing {
    pub(super) entries: BTreeMap<String, EntryState>,
    /// Packages that manifests in folders of npm packages name, by folder.
    pub(super) node_packages: BTreeMap<String, String>,
    /// Scripts that run programs of npm packages, by path.
    pub(super) programs: BTreeMap<String, ProgramScript>,
    /// Python packages, by the folder that describes each.
    pub(super) python_packages: BTreeMap<String, PythonPackage>,
    /// What each file of an index of crates says of single versions.
    pub(super) crate_lines: BTreeMap<String, BTreeSet<FileDigest>>,
    /// Lists of paths of Python's that hold code, which runs at every start.
    pub(super) start_code: BTreeSet<String>,
}

impl LayerListing {
    /// Reads the layer at `files`, whose set-up called its folder `work`.
    pub(in crate::layer) fn read(files: &Path, work: &str) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, files, flags, Mode::empty())?;
        // A kernel that cannot open so at all would find every file the same.
        open_beneath(&root, Path::new("."))?;
        let mut reader = ListingReader {
            files,
            root,
            work: work.as_bytes(),
            listing: Self::default(),
        };
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(files.join(&folder))? {
                let entry = entry?;
                let (path, meta) = (folder.join(entry.file_name()), entry.metadata()?);
                if !is_kept(&path, &meta) {
                    continue;
                }
                if meta.is_dir() {
                    open.push(path);
                } else {
                    reader.visit_entry(&path, meta.is_symlink())?;
                }
            }
        }
        Ok(reader.listing)
    }

    /// Adds what `other` has beside this one.
    pub(in crate::layer) fn add_missing(&mut self, other: Self) {
        for (path, state) in other.entries {
            self.entries.entry(path).or_insert(state);
        }
        for (folder, package) in other.node_packages {
            self.node_packages.entry(folder).or_insert(package);
        }
        for (path, script) in other.programs {
            self.programs.entry(path).or_insert(script);
        }
        for (folder, package) in other.python_packages {
            self.python_packages.entry(folder).or_insert(package);
        }
        for (file, lines) in other.crate_lines {
            self.crate_lines.entry(file).or_insert(lines);
        }
        self.start_code.extend(other.start_code);
    }
}

struct ListingReader<'a> {
    files: &'a Path,
    root: OwnedFd,
    work: &'a [u8],
    listing: LayerListing,
}

impl ListingReader<'_> {
    fn visit_entry(&mut self, path: &Path, is_link: bool) -> io::Result<()> {
        let Some(name) = path.to_str().map(str::to_owned) else {
            return Ok(());
        };
        let state = match is_link {
            true => {
                let target = std::fs::read_link(self.files.join(path))?;
                let target = target.into_os_string().into_encoded_bytes();
                EntryState::Link(String::from_utf8_lossy(&self.without_work(&target)).into_owned())
            }
            false => {
                let file = open_beneath(&self.root, path)?;
                let runs = file.metadata()?.permissions().mode() & 0o100 != 0;
                let digest = self.digest_of(file)?;
                self.note_facts(path, &name)?;
                EntryState::Plain { runs, digest }
            }
        };
        self.listing.entries.insert(name, state);
        Ok(())
    }

    /// The digest of a file, in which the place of the workspace is the same for all.
    fn digest_of(&self, mut file: File) -> io::Result<FileDigest> {
        let mut sum = Sha256::new();
        if file.metadata()?.len() > SCRIPT_BYTES_MAX {
            io::copy(&mut file, &mut sum)?;
            return Ok(sum.finalize().into());
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        sum.update(self.without_work(&bytes));
        Ok(sum.finalize().into())
    }

    /// `bytes` with a mark, which no text holds, for each mention of the workspace.
    fn without_work(&self, bytes: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(at) = find_bytes(rest, self.work) {
            kept.extend_from_slice(&rest[..at]);
            kept.extend_from_slice(b"\xff\0work\0\xff");
            rest = &rest[at + self.work.len()..];
        }
        kept.extend_from_slice(rest);
        kept
    }

    /// Notes what a file says of the package that it belongs to.
    fn note_facts(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let (folder, leaf) = name.rsplit_once('/').unwrap_or(("", name));
        if leaf == "package.json" && is_package_folder(folder) {
            if let Some(package) = node_package(&self.read_text(path)?) {
                self.listing
                    .node_packages
                    .insert(folder.to_owned(), package);
            }
        } else if matches!(NodePart::of_path(name), Some(NodePart::Program { .. })) {
            let (text, work) = (self.read_text(path)?, String::from_utf8_lossy(self.work));
            if let Some(script) = ProgramScript::parse(name, &text, &work) {
                self.listing.programs.insert(name.to_owned(), script);
            }
        } else if leaf == "RECORD" && NodePart::of_path(name).is_none() {
            if let Some(package) = PythonPackage::parse(folder, &self.read_text(path)?) {
                self.listing
                    .python_packages
                    .insert(folder.to_owned(), package);
            }
        } else if is_path_list(name) {
            if runs_code(&self.read_text(path)?) {
                self.listing.start_code.insert(name.to_owned());
            }
        } else if is_crate_index(name) {
            let lines = index_lines(&self.read_text(path)?);
            self.listing.crate_lines.insert(name.to_owned(), lines);
        }
        Ok(())
    }

    fn read_text(&self, path: &Path) -> io::Result<String> {
        let mut bytes = Vec::new();
        let file = open_beneath(&self.root, path)?;
        file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Opens a file that lies beneath `root` and is reached without links; what else is there never holds up who reads.
fn open_beneath(root: &OwnedFd, path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve).map(File::from)
}

fn find_bytes(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == wanted[0]) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// The package that a manifest of npm names.
fn node_package(manifest: &str) -> Option<String> {
    let manifest: Value = serde_json::from_str(manifest).ok()?;
    let text = |key: &str| manifest.get(key).and_then(Value::as_str);
    let (name, version) = text("name").zip(text("version"))?;
    Some(format!("npm:{name}@{version}"))
}

/// A digest of what an index says of each version of a crate; whether one was withdrawn may change.
fn index_lines(text: &str) -> BTreeSet<FileDigest> {
    let entries = text.split('\0').map(|entry| {
        let plain = match serde_json::from_str::<Value>(entry) {
            Ok(Value::Object(mut version)) => {
                version.remove("yanked");
                Value::Object(version).to_string()
            }
            // Its own version and the name that the registry gave this answer are no versions of crates.
            Ok(_) | Err(_) => return None,
        };
        Some(Sha256::digest(plain).into())
    });
    entries.flatten().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn a_mention_of_the_workspace_is_the_same_for_all() {
        let reader = |work: &'static str| ListingReader {
            files: Path::new("/"),
            root: rustix::fs::openat(CWD, "/", OFlags::PATH, Mode::empty()).unwrap(),
            work: work.as_bytes(),
            listing: LayerListing::default(),
        };
        let plain = |work: &'static str, text: &str| reader(work).without_work(text.as_bytes());
        assert_eq!(
            plain("/work", "#!/work/x a/work"),
            plain("/d/1", "#!/d/1/x a/d/1")
        );
        assert_ne!(plain("/work", "#!/work/x"), plain("/work", "#!/w/x"));
        assert_eq!(plain("", "abc"), b"abc");
        assert_eq!(find_bytes(b"aab", b"ab"), Some(1));
    }

    #[test]
    fn an_index_may_grow_and_withdraw_and_say_nothing_else_of_a_version() {
        let line = |deps: &str, yanked: bool| {
            format!("{{\"vers\":\"1.0.0\",\"deps\":[{deps}],\"yanked\":{yanked}}}")
        };
        let lines = |etag: &str, all: &[String]| {
            let entries: Vec<_> = all.iter().map(|line| format!("1.0.0\0{line}\0")).collect();
            index_lines(&format!("\u{3}\u{2}\0\0\0{etag}\0{}", entries.concat()))
        };
        let before = lines("a", &[line("", false)]);
        assert_eq!(before.len(), 1);
        assert_eq!(before, lines("b", &[line("", true)]));
        assert!(before.is_subset(&lines("a", &[line("", false), line("1", false)])));
        assert!(!before.is_subset(&lines("a", &[line("2", false)])));
    }
}
