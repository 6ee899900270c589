//! Handing a folder tree to a sandbox's user, taking it back, and removing it, without ever
//! following a link a program inside may have planted.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// Folders nested deeper are refused when changing owners and flattened when removing.
const DEPTH_MAX: usize = 200;

/// A folder tree could not be handed over, taken back or removed.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// A path in it could not be handled.
    #[error("could not {action} `{path}`")]
    Path {
        /// Operation that failed, for people: `remove`.
        action: &'static str,
        /// The folder it was tried in.
        path: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// Folders are nested beyond reason.
    #[error("folders below `{path}` are nested more than {DEPTH_MAX} deep")]
    TooDeep {
        /// Top folder of the tree.
        path: PathBuf,
    },
    /// Every user id set aside for sandboxes is taken.
    #[error("no user id is free for the workspace `{path}`")]
    NoFreeUser {
        /// Workspace folder on the host.
        path: PathBuf,
    },
}

impl WorkspaceError {
    fn failed_to(action: &'static str, path: &Path) -> impl Fn(Errno) -> Self {
        let path = path.to_path_buf();
        move |errno| Self::Path {
            action,
            path: path.clone(),
            source: errno.into(),
        }
    }
}

/// Gives everything in the tree at `root`, itself included, to `uid` and `gid`.
pub(crate) fn give_tree(root: &Path, uid: Uid, gid: Gid) -> Result<(), WorkspaceError> {
    give_listed(root, None, TreeOwner { uid, gid })
}

/// Gives what changed in the workspace at `root`, itself included, to `owner`: `upper` lists it. What lies below the
/// overlay belongs to the workspace's user already, and a change of owner would copy it.
pub(crate) fn give_listed(
    root: &Path,
    upper: Option<&OwnedFd>,
    owner: TreeOwner,
) -> Result<(), WorkspaceError> {
    let fail = WorkspaceError::failed_to("change the owner of", root);
    let top = open_dir(CWD, root).map_err(&fail)?;
    let TreeOwner { uid, gid } = owner;
    // The top last: it is how a half-finished hand-over is told from a finished one.
    give_below(&top, upper, owner, DEPTH_MAX).map_err(|e| match e {
        Errno::NAMETOOLONG => WorkspaceError::TooDeep { path: root.into() },
        other => fail(other),
    })?;
    rustix::fs::fchown(&top, Some(uid), Some(gid)).map_err(&fail)
}

/// The user and group that a tree is given to.
#[derive(Clone, Copy)]
pub(crate) struct TreeOwner {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

fn give_below(
    dir: &OwnedFd,
    listed: Option<&OwnedFd>,
    owner: TreeOwner,
    depth: usize,
) -> Result<(), Errno> {
    if depth == 0 {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in list_entries(listed.unwrap_or(dir))? {
        let (name, kind) = entry;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        if kind == FileType::Directory {
            match open_dir(dir, &name) {
                Ok(below) => {
                    let listed = listed.map(|dir| open_dir(dir, &name)).transpose()?;
                    give_below(&below, listed.as_ref(), owner, depth - 1)?;
                    rustix::fs::fchown(&below, Some(owner.uid), Some(owner.gid))?;
                }
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e),
            }
        } else {
            match rustix::fs::chownat(dir, &name, Some(owner.uid), Some(owner.gid), flags) {
                Err(Errno::NOENT) => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// Removes the tree at `root`, whatever permissions and depth it was left with.
pub(crate) fn remove_tree(root: &Path) -> Result<(), WorkspaceError> {
    let fail = WorkspaceError::failed_to("remove", root);
    let top = match open_dir(CWD, root) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => return Err(fail(e)),
    };
    let mut flattened = 0u32;
    // Folders at the depth limit are moved up to the top, so each round ends and the last finds nothing.
    loop {
        remove_below(&top, &top, DEPTH_MAX, &mut flattened).map_err(&fail)?;
        if list_entries(&top).map_err(&fail)?.is_empty() {
            break;
        }
    }
    std::fs::remove_dir(root).map_err(|source| WorkspaceError::Path {
        action: "remove",
        path: root.into(),
        source,
    })
}

fn remove_below(
    dir: &OwnedFd,
    top: &OwnedFd,
    depth: usize,
    flattened: &mut u32,
) -> Result<(), Errno> {
    for (name, kind) in list_entries(dir)? {
        if kind != FileType::Directory {
            rustix::fs::unlinkat(dir, &name, AtFlags::empty())?;
        } else if depth == 0 {
            flatten_folder(dir, &name, top, flattened)?;
        } else {
            let below = open_dir(dir, &name)?;
            remove_below(&below, top, depth - 1, flattened)?;
            rustix::fs::unlinkat(dir, &name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

/// Moves the folder `name` of `dir` to the top, under a name that nothing else has: a program may have taken any.
fn flatten_folder(
    dir: &OwnedFd,
    name: &CStr,
    top: &OwnedFd,
    flattened: &mut u32,
) -> Result<(), Errno> {
    loop {
        *flattened += 1;
        let moved = format!(".omoi-deep-{flattened}");
        match rustix::fs::renameat(dir, name, top, moved.as_str()) {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            other => return other,
        }
    }
}

/// Names and kinds in `dir`, without `.` and `..`.
pub(crate) fn list_entries(dir: &OwnedFd) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            known => known,
        };
        found.push((name.to_owned(), kind));
    }
    Ok(found)
}

/// Opens a folder without following a link; a folder its owner locked is unlocked first.
fn open_dir<Fd: std::os::fd::AsFd, P: rustix::path::Arg + Copy>(
    at: Fd,
    path: P,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = |fd: &OwnedFd| rustix::fs::fstat(fd).map(|s| s.st_mode & 0o700);
    match rustix::fs::openat(&at, path, flags, Mode::empty()) {
        Ok(fd) if rustix::process::geteuid().is_root() || mode(&fd)? == 0o700 => return Ok(fd),
        Ok(_) | Err(Errno::ACCESS) => {}
        Err(e) => return Err(e),
    }
    let handle = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle_fd = rustix::fs::openat(&at, path, handle, Mode::empty())?;
    let by_handle = format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&handle_fd)
    );
    rustix::fs::chmod(by_handle.as_str(), Mode::RWXU)?;
    rustix::fs::openat(&at, path, flags, Mode::empty())
}

/// The user and group that own `path`, not following a link.
pub(crate) fn path_owner(path: &Path) -> io::Result<(Uid, Gid)> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid)))
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
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn removes_deep_locked_and_linked_trees_and_nothing_else() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("tree");
        let mut deep = root.clone();
        // Three times the depth limit, made relative to open folders as a hostile program would.
        fs::create_dir(&root).unwrap();
        let mut at = open_dir(CWD, root.as_path()).unwrap();
        for _ in 0..DEPTH_MAX * 3 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open_dir(&at, "d").unwrap();
        }
        deep.push("locked");
        fs::create_dir(&deep).unwrap();
        fs::write(deep.join("file"), "x").unwrap();
        fs::set_permissions(&deep, fs::Permissions::from_mode(0o0)).unwrap();
        symlink(outside.path(), root.join("link")).unwrap();
        // Names that folders are moved to, as a hostile program would take them.
        fs::write(root.join(".omoi-deep-1"), "x").unwrap();
        fs::create_dir_all(root.join(".omoi-deep-2/full")).unwrap();
        symlink(outside.path(), root.join(".omoi-deep-3")).unwrap();

        remove_tree(&root).unwrap();
        assert!(!root.exists());
        assert!(outside.path().join("kept").exists());
        remove_tree(&root).unwrap();
    }

    #[test]
    fn gives_the_tree_but_not_what_links_point_to() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        fs::write(root.path().join("a/file"), "x").unwrap();
        symlink(outside.path(), root.path().join("a/link")).unwrap();
        let (uid, gid) = (Uid::from_raw(64_999), Gid::from_raw(64_999));
        give_tree(root.path(), uid, gid).unwrap();
        for path in ["", "a", "a/file", "a/link"] {
            let meta = fs::symlink_metadata(root.path().join(path)).unwrap();
            assert_eq!((meta.uid(), meta.gid()), (64_999, 64_999), "{path}");
        }
        assert_eq!(fs::metadata(outside.path()).unwrap().uid(), 0);
    }
}
