//! How much a folder tree takes on disk, walked by handles of its folders: no path is too long, and no link is followed.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::sample::BLOCK_BYTES;
use crate::workspace::list_entries;

/// Folders that are held open below one another.
const DEPTH_MAX: usize = 200;
/// Folders of that depth whose walk is put off, held open meanwhile.
const PUT_OFF_MAX: usize = 200;

/// What a folder tree takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskUsage {
    /// Bytes on disk of what was seen; a file with two names counts once.
    pub(crate) bytes: u64,
    /// Whether a folder could not be looked into.
    pub(crate) hides_folder: bool,
}

/// Looks at everything below `dir`.
pub(crate) fn disk_usage(dir: &Path) -> DiskUsage {
    let mut walk = UsageWalk::default();
    walk.enter_folder(CWD, dir, DEPTH_MAX);
    while let Some(folder) = walk.put_off.pop() {
        walk.look_into(&folder, DEPTH_MAX);
    }
    walk.usage
}

#[derive(Default)]
struct UsageWalk {
    usage: DiskUsage,
    /// Files with more than one name.
    seen: BTreeSet<(u64, u64)>,
    put_off: Vec<OwnedFd>,
}

impl UsageWalk {
    fn enter_folder<P: rustix::path::Arg>(&mut self, at: impl AsFd, name: P, depth: usize) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(at, name, flags, Mode::empty()) {
            Ok(folder) if depth > 0 => self.look_into(&folder, depth),
            Ok(folder) if self.put_off.len() < PUT_OFF_MAX => self.put_off.push(folder),
            Ok(_) | Err(Errno::ACCESS) => self.usage.hides_folder = true,
            // It went away or became something else meanwhile.
            Err(_) => {}
        }
    }

    fn look_into(&mut self, folder: &OwnedFd, depth: usize) {
        for (name, _) in list_entries(folder).unwrap_or_default() {
            let found = match rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => found,
                // Of a folder that may be listed and not be walked.
                Err(Errno::ACCESS) => {
                    self.usage.hides_folder = true;
                    continue;
                }
                Err(_) => continue,
            };
            let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            if is_folder || found.st_nlink < 2 || self.seen.insert((found.st_dev, found.st_ino)) {
                self.usage.bytes +=
                    u64::try_from(found.st_blocks).unwrap_or_default() * BLOCK_BYTES;
            }
            if is_folder {
                self.enter_folder(folder, &name, depth - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use std::fs;

    use rustix::fs::mkdirat;

    use super::*;

    fn open_folder(at: impl AsFd, name: impl rustix::path::Arg) -> OwnedFd {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(at, name, flags, Mode::empty()).unwrap()
    }

    /// Makes `depth` folders below one another, the last with a file of 300,000 bytes.
    fn make_deep(top: &Path, name: &str, depth: usize) {
        let mut at = open_folder(CWD, top);
        for _ in 0..depth {
            mkdirat(&at, name, Mode::RWXU).unwrap();
            at = open_folder(&at, name);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE;
        let file = rustix::fs::openat(&at, "file", flags, Mode::RUSR).unwrap();
        std::io::Write::write_all(&mut fs::File::from(file), &vec![1; 300_000]).unwrap();
    }

    #[test]
    fn a_file_counts_once_and_no_path_is_too_long() {
        let dir = tempfile::tempdir().unwrap();
        let long = "d".repeat(100);
        make_deep(dir.path(), "a", 1);
        fs::hard_link(dir.path().join("a/file"), dir.path().join("b")).unwrap();
        std::os::unix::fs::symlink("/usr", dir.path().join("link")).unwrap();
        let shallow = disk_usage(dir.path());
        assert!((300_000..400_000).contains(&shallow.bytes), "{shallow:?}");
        make_deep(dir.path(), &long, 3 * DEPTH_MAX);
        let deep = disk_usage(dir.path());
        assert!(deep.bytes >= shallow.bytes + 300_000, "{deep:?}");
        assert!(!deep.hides_folder);
        crate::workspace::remove_tree(dir.path()).unwrap();
    }

    #[test]
    fn more_deep_folders_than_can_be_held_are_not_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        make_deep(dir.path(), "d", DEPTH_MAX - 1);
        let mut last = open_folder(CWD, dir.path());
        for _ in 1..DEPTH_MAX {
            last = open_folder(&last, "d");
        }
        for n in 0..PUT_OFF_MAX {
            mkdirat(&last, n.to_string(), Mode::RWXU).unwrap();
        }
        assert!(!disk_usage(dir.path()).hides_folder);
        mkdirat(&last, "one-more", Mode::RWXU).unwrap();
        assert!(disk_usage(dir.path()).hides_folder);
        crate::workspace::remove_tree(dir.path()).unwrap();
    }
}
