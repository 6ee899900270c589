//! Makes protected workspace paths ready to be mounted over, also where they are missing or a link.
//!
//! A mount needs something to sit on, and it protects a name only while the folders above cannot be
//! renamed away. So what is missing becomes an empty folder (which version control does not see), and
//! every folder between the workspace and a protected path becomes a mount of itself.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::policy::{PathProtection, ProtectedPath, WorkspaceAccess};

/// What is mounted over a path of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathShield {
    /// Itself, so that it cannot be renamed.
    Hold,
    /// Itself, mounted read-only.
    ReadOnly,
    /// An empty folder in its place.
    EmptyDir,
    /// An empty file in its place.
    EmptyFile,
}

/// A path could not be protected.
#[derive(Debug, thiserror::Error)]
pub enum ProtectError {
    /// Not a plain relative path.
    #[error("it must be relative and without `..`")]
    NotRelative,
    /// A folder on the way is a link or a file.
    #[error("`{parent}` is not a folder")]
    Parent {
        /// The offending part, relative to the workspace.
        parent: PathBuf,
    },
    /// A system call on the workspace failed.
    #[error("the workspace could not be changed")]
    System(#[source] io::Error),
}

impl From<Errno> for ProtectError {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

/// Shields by path relative to the workspace, parents first.
pub(crate) type PathShields = BTreeMap<PathBuf, PathShield>;

/// Prepares every path of `protected` in `workspace`.
///
/// A link at a protected path is removed for good: nothing can be mounted over a link itself, and one
/// that stays could be replaced.
pub(crate) fn prepare_paths(
    workspace: &Path,
    protected: &[ProtectedPath],
    access: WorkspaceAccess,
) -> Result<PathShields, (PathBuf, ProtectError)> {
    let mut shields = PathShields::new();
    for one in protected {
        shield_path(workspace, one, &mut shields).map_err(|e| (one.path.clone(), e))?;
    }
    if access == WorkspaceAccess::ReadOnly {
        // Nothing can be renamed, and a mount of itself would be writable.
        shields.retain(|_, shield| *shield != PathShield::Hold);
    }
    // Below a masked folder there is nothing left to mount on.
    let masked: Vec<PathBuf> = shields
        .iter()
        .filter(|(_, shield)| **shield == PathShield::EmptyDir)
        .map(|(path, _)| path.clone())
        .collect();
    shields.retain(|path, _| !masked.iter().any(|m| path != m && path.starts_with(m)));
    Ok(shields)
}

fn shield_path(
    workspace: &Path,
    protected: &ProtectedPath,
    shields: &mut PathShields,
) -> Result<(), ProtectError> {
    let mut parts = Vec::new();
    for part in protected.path.components() {
        let Component::Normal(name) = part else {
            return Err(ProtectError::NotRelative);
        };
        parts.push(name);
    }
    let Some((last, parents)) = parts.split_last() else {
        return Err(ProtectError::NotRelative);
    };
    let mut dir = open_dir(CWD, workspace.as_os_str())?;
    let owner = rustix::fs::fstat(&dir)?;
    let mut walked = PathBuf::new();
    for name in parents {
        walked.push(name);
        dir = match open_dir(&dir, name) {
            Err(Errno::NOENT) => make_dir(&dir, name, &owner)?,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(ProtectError::Parent { parent: walked });
            }
            other => other?,
        };
        shields.entry(walked.clone()).or_insert(PathShield::Hold);
    }
    let kind = match rustix::fs::statat(&dir, *last, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
        Err(Errno::NOENT) => None,
        Err(e) => return Err(e.into()),
    };
    let shield = match (kind, protected.how) {
        (Some(FileType::Directory), PathProtection::Masked) => PathShield::EmptyDir,
        (Some(FileType::RegularFile), PathProtection::Masked) => PathShield::EmptyFile,
        (Some(FileType::Directory | FileType::RegularFile), PathProtection::ReadOnly) => {
            PathShield::ReadOnly
        }
        (other, _) => {
            if other.is_some() {
                let path = protected.path.display();
                tracing::debug!(%path, "Removed what is neither file nor folder at protected path `{path}`");
                rustix::fs::unlinkat(&dir, *last, AtFlags::empty())?;
            }
            make_dir(&dir, last, &owner)?;
            PathShield::ReadOnly
        }
    };
    shields.insert(walked.join(last), shield);
    Ok(())
}

fn open_dir<Fd: std::os::fd::AsFd>(at: Fd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn make_dir(at: &OwnedFd, name: &OsStr, owner: &rustix::fs::Stat) -> Result<OwnedFd, Errno> {
    rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o755))?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (
            rustix::fs::Uid::from_raw(owner.st_uid),
            rustix::fs::Gid::from_raw(owner.st_gid),
        );
        rustix::fs::chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    open_dir(at, name)
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
    use std::os::unix::fs::symlink;

    #[test]
    fn shields_present_missing_linked_and_nested_paths() {
        let dir = tempfile::tempdir().unwrap();
        let ws = dir.path();
        fs::create_dir_all(ws.join(".git/hooks")).unwrap();
        fs::write(ws.join(".git/config"), "x").unwrap();
        fs::create_dir(ws.join("src")).unwrap();
        symlink("src", ws.join(".claude")).unwrap();
        let protected = [
            ProtectedPath::read_only(".git/hooks"),
            ProtectedPath::masked(".git/config"),
            ProtectedPath::read_only(".omoi_os"),
            ProtectedPath::masked(".claude"),
            ProtectedPath::masked("src"),
            ProtectedPath::read_only("src/below"),
        ];
        let shields = prepare_paths(ws, &protected, WorkspaceAccess::ReadWrite).unwrap();
        let expected = [
            (".claude", PathShield::ReadOnly),
            (".git", PathShield::Hold),
            (".git/config", PathShield::EmptyFile),
            (".git/hooks", PathShield::ReadOnly),
            (".omoi_os", PathShield::ReadOnly),
            ("src", PathShield::EmptyDir),
        ];
        assert_eq!(shields, expected.map(|(p, s)| (p.into(), s)).into());
        assert!(ws.join(".omoi_os").is_dir());
        assert!(fs::symlink_metadata(ws.join(".claude")).unwrap().is_dir());

        let again = prepare_paths(ws, &protected, WorkspaceAccess::ReadOnly).unwrap();
        assert!(!again.contains_key(Path::new(".git")));
    }

    #[test]
    fn refuses_what_it_cannot_hold() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc", dir.path().join("link")).unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        for path in ["../x", "/etc/x", "", ".", "link/x", "file/x"] {
            let protected = [ProtectedPath::masked(path)];
            assert!(
                prepare_paths(dir.path(), &protected, WorkspaceAccess::ReadWrite).is_err(),
                "{path}"
            );
        }
        assert!(!Path::new("/etc/x").exists());
    }
}
