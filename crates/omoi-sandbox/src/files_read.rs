//! Which files a command read, told by their access times; on an overlay, where these do not move, by events.
//! Wherever it is, a file that changed counts as read.
//!
//! Times are set to the epoch before the command, and what has moved afterwards was read. The kernel's
//! usual `relatime` updates a time that lies before the file's last change, which the epoch does. A
//! mount with `noatime` is found out by trying, and then everything counts as unknown.

mod events;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use events::EventWatch;

/// Type of an overlay, as `statfs` names it.
const OVERLAY_MAGIC: u64 = 0x794c_7630;
const PROBE: &str = ".omoi-access-probe";

/// The files a command read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilesRead {
    /// These, in the order given.
    Known(Vec<PathBuf>),
    /// Nothing can be said here; treat every file as read.
    Unknown(String),
}

/// Notes which files of a workspace are read, from its start on.
#[derive(Debug)]
pub struct ReadWatch<'a> {
    dir: &'a Path,
    paths: &'a [PathBuf],
    stamps: FileStamps,
    /// None where access times tell.
    events: Option<io::Result<EventWatch>>,
}

impl<'a> ReadWatch<'a> {
    /// Begins with the workspace `dir` and the files `paths` in it, once it is handed over and before anything runs.
    /// `changes` is where a workspace that lies over others keeps what changes.
    ///
    /// # Errors
    /// When the files cannot be got at.
    pub fn start(
        dir: &'a Path,
        paths: &'a [PathBuf],
        changes: Option<Arc<OwnedFd>>,
    ) -> io::Result<Self> {
        let is_overlay = rustix::fs::statfs(dir)?.f_type as u64 == OVERLAY_MAGIC;
        let events = match is_overlay {
            true => Some(EventWatch::start(dir, paths)),
            false => {
                reset_access_times(dir, paths)?;
                None
            }
        };
        let root = match changes {
            Some(changes) => changes,
            None => Arc::new(open_root(dir)?),
        };
        let stamps = FileStamps::note(root, paths)?;
        Ok(Self {
            dir,
            paths,
            stamps,
            events,
        })
    }

    /// Tells which files were read, once everything that ran has ended. One that was written, linked or given another
    /// mode counts: by another name of it, or from memory, it can be read unseen.
    pub fn finish(self) -> FilesRead {
        let (dir, paths) = (self.dir, self.paths);
        let told = self.stamps.changed_files(paths).and_then(|changed| {
            let count = WatchedFiles {
                dir,
                paths,
                changed,
            };
            match self.events {
                None => count.by_access_times(),
                Some(watch) => watch?.finish(&count),
            }
        });
        told.unwrap_or_else(|error| {
            FilesRead::Unknown(format!("could not follow which files are read: {error}"))
        })
    }
}

/// The files of a workspace that are asked about, after everything ran.
#[derive(Debug)]
struct WatchedFiles<'a> {
    dir: &'a Path,
    paths: &'a [PathBuf],
    /// Whether each was changed.
    changed: Vec<bool>,
}

impl WatchedFiles<'_> {
    /// The files that changed, are gone, or of which `is_read` says so.
    fn list(
        &self,
        is_read: impl Fn(&Path, &OwnedFd) -> io::Result<bool>,
    ) -> io::Result<Vec<PathBuf>> {
        let root = open_root(self.dir)?;
        let mut read = Vec::new();
        for (path, changed) in self.paths.iter().zip(&self.changed) {
            let counts = *changed
                || match open_beneath(&root, path) {
                    // Gone or replaced by the command, which therefore touched it.
                    Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => true,
                    opened => is_read(path, &opened?)?,
                };
            if counts {
                read.push(path.clone());
            }
        }
        Ok(read)
    }

    fn by_access_times(&self) -> io::Result<FilesRead> {
        if !times_move(&open_root(self.dir)?)? {
            return Ok(FilesRead::Unknown(
                "access times do not move on this file system (mounted with `noatime`?)".into(),
            ));
        }
        let read = self.list(|_, file| Ok(rustix::fs::fstat(file)?.st_atime != 0))?;
        Ok(FilesRead::Known(read))
    }
}

/// What moves with every write to a file, every other name of it and every new owner or mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    seconds: i64,
    nanoseconds: u64,
}

/// The stamps of files, in the order of their paths; none for those that are not there.
#[derive(Debug)]
struct FileStamps {
    root: Arc<OwnedFd>,
    stamps: Vec<Option<FileStamp>>,
}

impl FileStamps {
    fn note(root: Arc<OwnedFd>, paths: &[PathBuf]) -> io::Result<Self> {
        let stamps = paths.iter().map(|path| stamp_of(&root, path));
        let stamps = stamps.collect::<io::Result<_>>()?;
        Ok(Self { root, stamps })
    }

    /// Whether each of `paths`, those that were noted, has another stamp by now.
    fn changed_files(&self, paths: &[PathBuf]) -> io::Result<Vec<bool>> {
        let pairs = paths.iter().zip(&self.stamps);
        let changed = pairs.map(|(path, before)| Ok(stamp_of(&self.root, path)? != *before));
        changed.collect()
    }
}

fn stamp_of(root: &OwnedFd, path: &Path) -> io::Result<Option<FileStamp>> {
    let stat = match open_beneath(root, path) {
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Ok(None),
        opened => rustix::fs::fstat(opened?)?,
    };
    Ok(Some(FileStamp {
        inode: stat.st_ino,
        seconds: stat.st_ctime,
        nanoseconds: stat.st_ctime_nsec,
    }))
}

/// Sets the access times of `paths`, relative to `dir`, to the epoch; times of change stay.
///
/// Links are not followed and paths that are gone are skipped. The file's *inode* change time moves, so
/// version control should not trust that one (`core.trustctime=false`).
fn reset_access_times(dir: &Path, paths: &[PathBuf]) -> io::Result<()> {
    let root = open_root(dir)?;
    for path in paths {
        match open_beneath(&root, path) {
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {}
            other => set_to_epoch(other?)?,
        }
    }
    Ok(())
}

fn open_root(dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, dir, flags, Mode::empty())?)
}

/// A handle on the file itself, which must lie beneath `root` and be reached without links.
fn open_beneath(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // A link as the last part is itself the tracked file; links before it are refused.
    let (parent, name) = (path.parent(), path.file_name().ok_or(Errno::NOENT)?);
    match parent.filter(|p| !p.as_os_str().is_empty()) {
        None => rustix::fs::openat2(root, name, flags, Mode::empty(), resolve),
        Some(parent) => {
            let no_links = resolve | ResolveFlags::NO_SYMLINKS;
            let dir = flags | OFlags::DIRECTORY;
            let parent = rustix::fs::openat2(root, parent, dir, Mode::empty(), no_links)?;
            rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve)
        }
    }
}

fn set_to_epoch(fd: impl AsFd) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        last_modification: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
    };
    Ok(rustix::fs::utimensat(fd, c"", &times, AtFlags::EMPTY_PATH)?)
}

/// Reads a file of our own in the folder and looks whether its time moves.
fn times_move(root: &OwnedFd) -> io::Result<bool> {
    // A leftover, whosever it is, must not be read in place of ours.
    let _ = rustix::fs::unlinkat(root, PROBE, AtFlags::empty());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, PROBE, flags, Mode::RUSR | Mode::WUSR)?;
    let moved = (|| {
        rustix::io::write(&file, b"x")?;
        let times = open_beneath(root, Path::new(PROBE))?;
        set_to_epoch(&times)?;
        rustix::io::pread(&file, &mut [0u8; 1], 0)?;
        Ok(rustix::fs::fstat(&times)?.st_atime != 0)
    })();
    rustix::fs::unlinkat(root, PROBE, AtFlags::empty())?;
    moved
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn reports_what_was_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let at = |p: &str| dir.path().join(p);
        fs::create_dir_all(at("src/deep")).unwrap();
        for path in ["read", "unread", "src/deep/read", "gone"] {
            fs::write(at(path), "text").unwrap();
        }
        symlink(outside.path(), at("link")).unwrap();
        symlink("src", at("dir-link")).unwrap();
        let paths: Vec<PathBuf> = [
            "read",
            "unread",
            "src/deep/read",
            "gone",
            "link",
            "dir-link/deep/read",
        ]
        .map(PathBuf::from)
        .into();
        let before = fs::metadata(at("read")).unwrap();
        let outside_before = fs::metadata(outside.path()).unwrap();
        reset_access_times(dir.path(), &paths).unwrap();
        let after = fs::metadata(at("read")).unwrap();
        assert_eq!(after.atime(), 0);
        assert_eq!(
            (after.mtime(), after.mtime_nsec()),
            (before.mtime(), before.mtime_nsec())
        );
        let outside_after = fs::metadata(outside.path()).unwrap();
        assert_eq!(outside_before.atime_nsec(), outside_after.atime_nsec());

        let tracked: Vec<PathBuf> = paths[..5].to_vec();
        let watch = ReadWatch::start(dir.path(), &tracked, None).unwrap();
        fs::read(at("read")).unwrap();
        fs::read(at("src/deep/read")).unwrap();
        fs::remove_file(at("gone")).unwrap();
        let known = ["read", "src/deep/read", "gone"]
            .map(PathBuf::from)
            .to_vec();
        assert_eq!(watch.finish(), FilesRead::Known(known));
        assert!(!at(PROBE).exists());
    }

    #[test]
    fn a_file_system_without_access_times_is_unknown() {
        // The kernel's own files have no stored access time and take no new files.
        let paths = [PathBuf::from("version")];
        let files = WatchedFiles {
            dir: Path::new("/proc"),
            paths: &paths,
            changed: vec![false],
        };
        let told = files.by_access_times();
        assert!(!matches!(told, Ok(FilesRead::Known(_))), "{told:?}");
    }
}
