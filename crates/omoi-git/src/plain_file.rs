//! Plain files below a folder that others write to: read and written without following a link, and kept from git.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::layer::ignore_lines;

/// A file as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainFile {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Whether its owner may run it.
    pub is_executable: bool,
}

/// Why a file below a folder is not read.
#[derive(Debug, thiserror::Error)]
pub enum PlainFileError {
    /// There is none.
    #[error("there is no such file")]
    Missing,
    /// It, or a folder on the way to it, is a link.
    #[error("it is a link, or lies behind one; links are not followed")]
    Link,
    /// The way to it leads out of the folder.
    #[error("it lies outside of the folder")]
    Outside,
    /// It is a folder.
    #[error("it is a folder; name the files in it, each by itself")]
    Directory,
    /// It is a pipe, a socket or a device.
    #[error("it is no plain file")]
    NotPlain,
    /// It is too large.
    #[error("it has {bytes} bytes, and at most {bytes_max} are copied")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most.
        bytes_max: u64,
    },
    /// The disk refuses.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
}

/// Reads the file at `path` below `root`, of at most `bytes_max` bytes.
///
/// # Errors
/// [`PlainFileError`] for anything but a plain file that is reached without links.
pub fn read_plain_file(
    root: &Path,
    path: &Path,
    bytes_max: u64,
) -> Result<PlainFile, PlainFileError> {
    let unreadable = PlainFileError::Unreadable;
    let folder = open_folder(root).map_err(|error| unreadable(error.into()))?;
    // What does not wait for a writer holds up nobody, whatever was put there.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = rustix::fs::openat2(&folder, path, flags, Mode::empty(), resolve);
    let file = File::from(opened.map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR => PlainFileError::Missing,
        Errno::LOOP => PlainFileError::Link,
        Errno::XDEV => PlainFileError::Outside,
        // A socket.
        Errno::NXIO => PlainFileError::NotPlain,
        other => unreadable(other.into()),
    })?);
    let meta = file.metadata().map_err(unreadable)?;
    if meta.is_dir() {
        return Err(PlainFileError::Directory);
    }
    if !meta.is_file() {
        return Err(PlainFileError::NotPlain);
    }
    let mut content = Vec::new();
    let read = file.take(bytes_max + 1).read_to_end(&mut content);
    read.map_err(unreadable)?;
    let bytes = meta.len().max(content.len() as u64);
    if bytes > bytes_max {
        return Err(PlainFileError::TooLarge { bytes, bytes_max });
    }
    Ok(PlainFile {
        content,
        is_executable: meta.mode() & 0o100 != 0,
    })
}

/// Writes a new file at `path` below `root`, with the folders on the way; false where something else is in the way: a
/// link, a file in place of a folder, or a file of that name. It stays as it is.
///
/// # Errors
/// When the disk refuses.
pub fn write_new_file(root: &Path, path: &Path, content: &[u8], mode: u32) -> io::Result<bool> {
    let in_the_way = |error: Errno| match error {
        Errno::LOOP | Errno::NOTDIR | Errno::EXIST | Errno::ISDIR => Ok(false),
        other => Err(other.into()),
    };
    let mut folder = open_folder(root)?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            return Ok(false);
        };
        if parts.peek().is_none() {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let mode = Mode::from_raw_mode(mode);
            let made = rustix::fs::openat(&folder, name, flags | OFlags::CLOEXEC, mode);
            return match made {
                Ok(file) => File::from(file).write_all(content).map(|()| true),
                Err(error) => in_the_way(error),
            };
        }
        match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return in_the_way(error),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
            Ok(next) => next,
            Err(error) => return in_the_way(error),
        };
    }
    Ok(false)
}

/// Has git in the work tree `dest`, which nobody else has touched, take what is at `paths` for no work.
///
/// # Errors
/// When the disk refuses.
pub fn exclude_paths(dest: &Path, paths: &[String]) -> io::Result<()> {
    let info = dest.join(".git/info");
    std::fs::create_dir_all(&info)?;
    let list = info.join("exclude");
    let list = OpenOptions::new().create(true).append(true).open(list);
    list?.write_all(ignore_lines(paths).as_bytes())
}

fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn plain_files_below_the_folder_are_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("repo"), folder.path().join("outside"));
        fs::create_dir_all(root.join("sub/deep")).unwrap();
        fs::write(&outside, "secret").unwrap();
        fs::write(root.join("sub/deep/file"), "text").unwrap();
        fs::set_permissions(
            root.join("sub/deep/file"),
            fs::Permissions::from_mode(0o700),
        )
        .unwrap();
        fs::write(root.join("large"), "0123456789").unwrap();
        symlink(&outside, root.join("link")).unwrap();
        symlink("sub", root.join("behind")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        rustix::fs::mknodat(
            CWD,
            root.join("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let read = |path: &str| read_plain_file(&root, Path::new(path), 8);
        let file = read("sub/deep/file").unwrap();
        assert_eq!((&*file.content, file.is_executable), (&b"text"[..], true));
        for (path, says) in [
            ("none", "there is no such file"),
            ("large/file", "there is no such file"),
            ("link", "it is a link"),
            ("behind/deep/file", "it is a link"),
            ("../outside", "it lies outside"),
            ("sub", "it is a folder"),
            ("pipe", "it is no plain file"),
            ("socket", "it is no plain file"),
            ("large", "it has 10 bytes, and at most 8 are copied"),
        ] {
            let error = read(path).err().unwrap().to_string();
            assert!(error.starts_with(says), "{path}: {error}");
        }
    }

    #[test]
    fn a_new_file_replaces_nothing_and_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("work"), folder.path().join("outside"));
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(root.join("sub/old"), "old").unwrap();
        symlink(&outside, root.join("link")).unwrap();
        symlink(outside.join("x"), root.join("sub/dangling")).unwrap();
        for (path, expected) in [
            ("new/deep/file", true),
            ("sub/file", true),
            ("sub/old", false),
            ("sub", false),
            ("sub/old/file", false),
            ("link/file", false),
            ("sub/dangling", false),
            ("../outside/file", false),
        ] {
            let written = write_new_file(&root, Path::new(path), b"new", 0o600).unwrap();
            assert_eq!(written, expected, "{path}");
        }
        assert_eq!(fs::read(root.join("new/deep/file")).unwrap(), b"new");
        assert_eq!(fs::read(root.join("sub/old")).unwrap(), b"old");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
