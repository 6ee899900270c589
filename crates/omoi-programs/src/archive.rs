//! Unpacking downloads: only plain files, only below the folder, never writable or set-uid.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;

use crate::pinned_list::stays_below;

/// A program that takes more is none of those that are pinned.
const BYTES_MAX: u64 = 4 << 30;
const ENTRIES_MAX: u64 = 200_000;
const BUFFER: usize = 256 << 10;

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is cut off or no archive.
    #[error("it is damaged")]
    Damaged(#[source] io::Error),
    /// An entry leads out of the folder.
    #[error("its entry `{0}` leads out of the folder")]
    Outside(String),
    /// A link, a device or something else that no package needs.
    #[error("its entry `{0}` is neither a file nor a folder")]
    Kind(String),
    /// Two entries of one name.
    #[error("its entry `{0}` is there twice")]
    Twice(String),
    /// It grows without end.
    #[error("it holds more than {BYTES_MAX} bytes or {ENTRIES_MAX} entries")]
    TooLarge,
    /// A file or folder could not be made.
    #[error("could not write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    /// Whether the disk is full.
    pub(crate) fn is_no_space(&self) -> bool {
        let Self::Write { source, .. } = self else {
            return false;
        };
        matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

/// What has been unpacked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnpackedSize {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    entries: u64,
}

/// Unpacks an archive of npm, whose entries lie in one folder of any name, into `folder`.
pub(crate) fn unpack_tarball(
    archive: impl Read,
    folder: &Path,
    size: &mut UnpackedSize,
) -> Result<(), ArchiveError> {
    make_folder(folder)?;
    let mut archive = tar::Archive::new(GzDecoder::new(io::BufReader::with_capacity(
        BUFFER, archive,
    )));
    for entry in archive.entries().map_err(ArchiveError::Damaged)? {
        let mut entry = entry.map_err(ArchiveError::Damaged)?;
        size.count_entry()?;
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        let name = entry.path().map_err(ArchiveError::Damaged)?.into_owned();
        let shown = name.display().to_string();
        let inside = below_first(&name).ok_or_else(|| ArchiveError::Outside(shown.clone()))?;
        let path = folder.join(inside);
        if kind.is_dir() {
            make_folder(&path)?;
        } else if kind.is_file() {
            let mode = entry.header().mode().map_err(ArchiveError::Damaged)?;
            let file = NewFile {
                path: &path,
                is_program: mode & 0o111 != 0,
                shown,
            };
            file.write_from(&mut entry, size)?;
        } else {
            return Err(ArchiveError::Kind(shown));
        }
    }
    Ok(())
}

/// Unpacks those entries of a wheel that `wanted` says yes to.
pub(crate) fn unpack_wheel(
    archive: impl Read + Seek,
    folder: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<UnpackedSize, ArchiveError> {
    let damaged = |error: zip::result::ZipError| ArchiveError::Damaged(io::Error::other(error));
    let mut size = UnpackedSize::default();
    let mut archive = zip::ZipArchive::new(archive).map_err(damaged)?;
    make_folder(folder)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged)?;
        size.count_entry()?;
        let name = entry.name().map_err(damaged)?.into_owned();
        if entry.is_dir() || !wanted(&name) {
            continue;
        }
        if !stays_below(Path::new(&name)) {
            return Err(ArchiveError::Outside(name));
        }
        if entry.is_symlink() {
            return Err(ArchiveError::Kind(name));
        }
        let path = folder.join(&name);
        let file = NewFile {
            path: &path,
            is_program: entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0),
            shown: name,
        };
        file.write_from(&mut entry, &mut size)?;
    }
    Ok(size)
}

impl UnpackedSize {
    fn count_entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        match self.entries > ENTRIES_MAX {
            true => Err(ArchiveError::TooLarge),
            false => Ok(()),
        }
    }
}

/// A file that an archive asks for.
struct NewFile<'a> {
    path: &'a Path,
    is_program: bool,
    /// The name in the archive.
    shown: String,
}

impl NewFile<'_> {
    fn write_from(self, from: &mut impl Read, size: &mut UnpackedSize) -> Result<(), ArchiveError> {
        if let Some(parent) = self.path.parent() {
            make_folder(parent)?;
        }
        let failed = |source| ArchiveError::Write {
            path: self.path.to_owned(),
            source,
        };
        // Never `set-uid`, never writable, whatever the archive and the umask say.
        let mode = if self.is_program { 0o555 } else { 0o444 };
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(self.path);
        let mut file = match created {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ArchiveError::Twice(self.shown));
            }
            created => created.map_err(failed)?,
        };
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = from.read(&mut buffer).map_err(ArchiveError::Damaged)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            size.bytes += count as u64;
            if size.bytes > BYTES_MAX {
                return Err(ArchiveError::TooLarge);
            }
            file.write_all(bytes).map_err(failed)?;
        }
        set_mode(&file, mode).map_err(failed)?;
        size.files += 1;
        Ok(())
    }
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn make_folder(path: &Path) -> Result<(), ArchiveError> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|source| ArchiveError::Write {
        path: path.to_owned(),
        source,
    })
}

/// What is below the first folder of `name`; none where it leads elsewhere.
fn below_first(name: &Path) -> Option<PathBuf> {
    let mut parts = name.components().filter(|part| *part != Component::CurDir);
    let Some(Component::Normal(_)) = parts.next() else {
        return None;
    };
    parts
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// Takes the right to write from every folder at and below `top`; files have none.
pub(crate) fn close_folders(top: &Path) -> io::Result<()> {
    for folder in folders_below(top)? {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o555))?;
    }
    Ok(())
}

/// Removes a folder whose folders nobody may write.
pub(crate) fn remove_closed(top: &Path) -> io::Result<()> {
    for folder in folders_below(top)? {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    }
    fs::remove_dir_all(top)
}

/// `top` and every folder below it.
fn folders_below(top: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::from([top.to_owned()]);
    let mut open = vec![top.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
                found.insert(entry.path());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
