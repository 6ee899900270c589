//! What a set-up added to a checkout: telling it from the files of the commit, and copying it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::mirror::{EntryKind, FileEntry};

/// Names that are listed of those that changed.
const CHANGED_MAX: usize = 20;

/// What a tracked file is, so that any change shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FileState {
    Plain { runs: bool, digest: [u8; 32] },
    Link(PathBuf),
    Other,
}

impl FileState {
    fn of_path(path: &Path, meta: &Metadata) -> io::Result<Self> {
        if meta.is_symlink() {
            return Ok(Self::Link(std::fs::read_link(path)?));
        }
        if !meta.is_file() {
            return Ok(Self::Other);
        }
        let mut hasher = Sha256::new();
        io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(Self::Plain {
            runs: meta.permissions().mode() & 0o100 != 0,
            digest: hasher.finalize().into(),
        })
    }
}

/// The tracked files of a checkout before its set-up ran.
#[derive(Debug)]
pub struct TrackedFiles {
    files: BTreeMap<PathBuf, FileState>,
    /// Every folder that has one of them below it.
    folders: BTreeSet<PathBuf>,
    /// Folders in which other repositories would be; nobody looks into them.
    submodules: BTreeSet<PathBuf>,
}

/// What a set-up added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddedFiles {
    /// Tracked files that it changed, a few of them.
    pub(crate) changed: Vec<String>,
    /// What it added, the outermost folders and files alone.
    pub(crate) roots: Vec<PathBuf>,
}

impl TrackedFiles {
    /// Notes the files of `entries` as they are in the checkout `dir`. Reads all of them.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn note_files(dir: &Path, entries: &[FileEntry]) -> io::Result<Self> {
        let mut tracked = Self {
            files: BTreeMap::new(),
            folders: BTreeSet::new(),
            submodules: BTreeSet::new(),
        };
        for entry in entries {
            let path = entry.path.as_path();
            tracked
                .folders
                .extend(path.ancestors().skip(1).map(Path::to_path_buf));
            if entry.kind == EntryKind::Submodule {
                tracked.submodules.insert(path.to_path_buf());
                continue;
            }
            let place = dir.join(path);
            let state = FileState::of_path(&place, &std::fs::symlink_metadata(&place)?)?;
            tracked.files.insert(path.to_path_buf(), state);
        }
        Ok(tracked)
    }

    /// Compares with what `dir` holds now, following no link.
    pub(crate) fn compare_folder(&self, dir: &Path) -> io::Result<AddedFiles> {
        let mut walk = FolderWalk {
            tracked: self,
            dir,
            unchanged: BTreeSet::new(),
            roots: Vec::new(),
        };
        walk.visit_folder(Path::new(""))?;
        let changed = self
            .files
            .keys()
            .filter(|path| !walk.unchanged.contains(path.as_path()));
        Ok(AddedFiles {
            changed: changed
                .take(CHANGED_MAX)
                .map(|path| path.to_string_lossy().into_owned())
                .collect(),
            roots: walk.roots,
        })
    }
}

struct FolderWalk<'a> {
    tracked: &'a TrackedFiles,
    dir: &'a Path,
    unchanged: BTreeSet<&'a Path>,
    roots: Vec<PathBuf>,
}

impl FolderWalk<'_> {
    fn visit_folder(&mut self, folder: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(self.dir.join(folder))? {
            let entry = entry?;
            let (path, meta) = (folder.join(entry.file_name()), entry.metadata()?);
            let is_gits = path == Path::new(".git") || self.tracked.submodules.contains(&path);
            if is_gits {
                continue;
            }
            if let Some((path, before)) = self.tracked.files.get_key_value(&path) {
                if FileState::of_path(&entry.path(), &meta)? == *before {
                    self.unchanged.insert(path);
                }
            } else if meta.is_dir() && self.tracked.folders.contains(&path) {
                self.visit_folder(&path)?;
            } else if is_kept(&path, &meta) {
                self.roots.push(path);
            }
        }
        self.roots.sort();
        Ok(())
    }
}

/// Whether something belongs into a layer: compiled Python is made from its source again, sockets and devices are
/// no packages, and a name that is no text cannot be listed for git.
pub(crate) fn is_kept(path: &Path, meta: &Metadata) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_compiled = path.extension().is_some_and(|end| end == "pyc");
    let is_bytecode = |name: &str| name == "__pycache__" || is_compiled;
    let is_plain = meta.is_dir() || meta.is_file() || meta.is_symlink();
    is_plain && name.is_some_and(|name| !is_bytecode(name) && !name.contains('\n'))
}

/// Copies `from`, no link followed and none shared, to `to`, where nothing is yet or a folder that takes the rest.
/// What is there stays.
pub(crate) fn copy_packages(from: &Path, to: &Path) -> io::Result<()> {
    let meta = std::fs::symlink_metadata(from)?;
    let there = std::fs::symlink_metadata(to);
    if meta.is_dir() {
        match there {
            Ok(there) if there.is_dir() => {}
            Ok(_) => return Ok(()),
            Err(_) => std::fs::create_dir(to)?,
        }
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            if is_kept(&entry.path(), &entry.metadata()?) {
                copy_packages(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
        return Ok(());
    }
    if there.is_ok() {
        return Ok(());
    }
    if meta.is_symlink() {
        return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
    }
    std::fs::copy(from, to)?;
    // Nothing that a set-up made runs as somebody else.
    let mode = meta.permissions().mode() & 0o755 | 0o600;
    std::fs::set_permissions(to, Permissions::from_mode(mode))
}

/// Lines for git's list of ignored files, one for each of `roots`.
pub(crate) fn ignore_lines(roots: &[String]) -> String {
    let mut lines = String::new();
    for root in roots {
        lines.push('/');
        for c in root.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '\\' | '!' | '#' | ' ') {
                lines.push('\\');
            }
            lines.push(c);
        }
        lines.push('\n');
    }
    lines
}

/// Whether a name below `path` could be read as text.
pub(crate) fn text_of(path: &Path) -> Option<String> {
    std::str::from_utf8(path.as_os_str().as_bytes())
        .ok()
        .map(str::to_owned)
}
