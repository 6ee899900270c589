//! Which files a command read, told by their access times; on an overlay, where these do not move, by events.
//!
//! Times are set to the epoch before the command, and what has moved afterwards was read. The kernel's
//! usual `relatime` updates a time that lies before the file's last change, which the epoch does. A
//! mount with `noatime` is found out by trying, and then everything counts as unknown.

mod events;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use events::EventWatch;

/// Type of an overlay, as `statfs` names it.
const OVERLAY_MAGIC: u64 = 0x794c_7630;
const PROBE: &str = ".omoi-access-probe";

/// The files a command read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilesRead {
    /// Those whose access time moved, in the order given.
    Known(Vec<PathBuf>),
    /// Access times say nothing here; treat every file as read.
    Unknown(String),
}

/// Notes which files of a workspace are read, from its start on.
#[derive(Debug)]
pub struct ReadWatch<'a> {
    dir: &'a Path,
    paths: &'a [PathBuf],
    /// None where access times tell.
    events: Option<io::Result<EventWatch>>,
}

impl<'a> ReadWatch<'a> {
    /// Begins with the workspace `dir` and the files `paths` in it, once it is handed over and before anything runs.
    ///
    /// # Errors
    /// When the files cannot be got at.
    pub fn start(dir: &'a Path, paths: &'a [PathBuf]) -> io::Result<Self> {
        let is_overlay = rustix::fs::statfs(dir)?.f_type as u64 == OVERLAY_MAGIC;
        let events = match is_overlay {
            true => Some(EventWatch::start(dir, paths)),
            false => {
                reset_access_times(dir, paths)?;
                None
            }
        };
        Ok(Self { dir, paths, events })
    }

    /// Tells which files were read, once everything that ran has ended.
    pub fn finish(self) -> FilesRead {
        let told = match self.events {
            None => return list_files_read(self.dir, self.paths),
            Some(watch) => watch.and_then(|watch| watch.finish(self.dir, self.paths)),
        };
        told.unwrap_or_else(|error| {
            FilesRead::Unknown(format!("could not follow events of files: {error}"))
        })
    }
}

/// Sets the access times of `paths`, relative to `dir`, to the epoch; times of change stay.
///
/// Links are not followed and paths that are gone are skipped. The file's *inode* change time moves, so
/// version control should not trust that one (`core.trustctime=false`).
pub fn reset_access_times(dir: &Path, paths: &[PathBuf]) -> io::Result<()> {
    let root = open_root(dir)?;
    for path in paths {
        match open_beneath(&root, path) {
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {}
            other => set_to_epoch(other?)?,
        }
    }
    Ok(())
}

/// Tells which of `paths` were read since [`reset_access_times`].
pub fn list_files_read(dir: &Path, paths: &[PathBuf]) -> FilesRead {
    let result = open_root(dir).and_then(|root| {
        if !times_move(&root)? {
            return Ok(FilesRead::Unknown(
                "access times do not move on this file system (mounted with `noatime`?)".into(),
            ));
        }
        let mut moved = Vec::new();
        for path in paths {
            match open_beneath(&root, path) {
                // Gone or replaced by the command, which therefore touched it.
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => moved.push(path.clone()),
                other => {
                    let stat = rustix::fs::fstat(other?)?;
                    if stat.st_atime != 0 {
                        moved.push(path.clone());
                    }
                }
            }
        }
        Ok(FilesRead::Known(moved))
    });
    result
        .unwrap_or_else(|error| FilesRead::Unknown(format!("could not read access times: {error}")))
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

        fs::read(at("read")).unwrap();
        fs::read(at("src/deep/read")).unwrap();
        fs::remove_file(at("gone")).unwrap();
        let tracked: Vec<PathBuf> = paths[..5].to_vec();
        let known = ["read", "src/deep/read", "gone"]
            .map(PathBuf::from)
            .to_vec();
        assert_eq!(
            list_files_read(dir.path(), &tracked),
            FilesRead::Known(known)
        );
        assert!(!at(PROBE).exists());
    }

    #[test]
    fn a_file_system_without_access_times_is_unknown() {
        // The kernel's own files have no stored access time and take no new files.
        let paths = [PathBuf::from("version")];
        assert!(matches!(
            list_files_read(Path::new("/proc"), &paths),
            FilesRead::Unknown(_)
        ));
    }
}
