//! The history of one commit as an object store of its own. A mirror holds what every attempt handed
//! in; a sandbox is shown one of these instead, so that it reads what its own work is based on and
//! nothing else.
//!
//! A base store never changes and is shared by every clone with the same base. It appears by a rename
//! when it is complete, is built anew when a file of it is missing or cut short, and can be removed at
//! any time: a lock, which no sandbox sees, keeps it while something uses it.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tracing::debug;

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use super::Mirror;
use crate::object::ObjectId;
use crate::process::{GitError, write_private};

/// Where a mirror's base stores are, each in a folder named after its commit.
const PLACE: &str = "omoi-bases";
/// Name and length of each of its files; the lock is taken on it.
const MANIFEST: &str = "manifest";
const OBJECTS: &str = "objects";
/// Longest manifest that is read: there are three files.
const MANIFEST_BYTES_MAX: u64 = 4 << 10;
/// Writing a whole history may take a while.
const PACK_SECONDS_MAX: u64 = 1_800;
/// Tries to use a store that others remove at the same time.
const OPENINGS_MAX: usize = 10;

/// Arguments of a pack that is written once and read a few times: what is packed already is copied,
/// nothing is compressed anew.
pub(crate) const PACK_ARGUMENTS: [&str; 5] = [
    "--revs",
    "--quiet",
    "--non-empty",
    "--delta-base-offset",
    "--window=0",
];

/// Why the history of a commit could not be set apart.
#[derive(Debug, thiserror::Error)]
pub enum BaseStoreError {
    /// A file system operation failed.
    #[error("could not use the object store at `{dir}`")]
    Io {
        /// Folder of the object store.
        dir: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// The call of `git pack-objects` failed.
    #[error("could not write the history of {commit}")]
    Git {
        /// Commit whose history was to be packed.
        commit: ObjectId,
        /// The failure of the git command.
        #[source]
        source: GitError,
    },
    /// Every store that was built was gone or damaged before it could be used.
    #[error("the object store at `{dir}` is damaged or removed as often as it is built")]
    Unstable {
        /// Folder of the object store.
        dir: PathBuf,
    },
}

/// Everything reachable from one commit; stays where it is while this value lives.
#[derive(Debug)]
pub struct BaseStore {
    mirror: Mirror,
    tip: ObjectId,
    dir: PathBuf,
    _in_use: File,
}

impl BaseStore {
    /// The commit whose history it holds.
    pub fn tip(&self) -> &ObjectId {
        &self.tip
    }

    /// The objects, which a clone needs to see at this very path; read-only is enough.
    pub fn objects_dir(&self) -> PathBuf {
        self.dir.join(OBJECTS)
    }

    /// The mirror it was cut from.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }
}

impl Mirror {
    /// The history of `commit` as an object store of its own, built when there is none.
    ///
    /// # Errors
    /// [`BaseStoreError`] when the commit is not in the mirror or the disk refuses.
    pub async fn base_store(&self, commit: &ObjectId) -> Result<BaseStore, BaseStoreError> {
        let dir = self.dir.join(PLACE).join(commit.as_str());
        let io = |source| BaseStoreError::Io {
            dir: dir.clone(),
            source,
        };
        for _ in 0..OPENINGS_MAX {
            let (mirror, place) = (self.clone(), dir.clone());
            // Waits for who removes it, and removes what is damaged.
            let opened = off_thread(move || mirror.open_whole(&place)).await;
            if let Some(in_use) = opened.map_err(io)? {
                return Ok(BaseStore {
                    mirror: self.clone(),
                    tip: commit.clone(),
                    dir,
                    _in_use: in_use,
                });
            }
            self.build_base_store(commit, &dir).await?;
        }
        Err(BaseStoreError::Unstable { dir })
    }

    /// Removes every base store that is neither in use nor `needed`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_base_stores(&self, needed: impl Fn(&ObjectId) -> bool) -> io::Result<()> {
        for commit in base_stores(&self.dir)? {
            let dir = self.dir.join(PLACE).join(commit.as_str());
            if needed(&commit) {
                continue;
            }
            let manifest = match File::open(dir.join(MANIFEST)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                opened => Some(opened?),
            };
            match manifest.as_ref().map(File::try_lock) {
                Some(Err(TryLockError::WouldBlock)) => {
                    debug!(%commit, "The history of {commit} is still shown to a sandbox");
                }
                Some(Err(TryLockError::Error(error))) => return Err(error),
                Some(Ok(())) | None => {
                    self.set_aside(&dir)?;
                    debug!(%commit, "Removed the history set apart for {commit}");
                }
            }
        }
        Ok(())
    }

    /// The lock of the store at `dir`, held by us and others who use it. None when there is no store;
    /// a damaged one is removed.
    fn open_whole(&self, dir: &Path) -> io::Result<Option<File>> {
        let path = dir.join(MANIFEST);
        let manifest = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A whole store appears with its manifest.
                if dir.exists() && !path.exists() {
                    self.set_aside(dir)?;
                }
                return Ok(None);
            }
            opened => opened?,
        };
        manifest.lock_shared()?;
        // It may have been removed, or built anew, before the lock was ours.
        let place_of = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let locked = place_of(manifest.metadata()?);
        if !std::fs::metadata(&path).is_ok_and(|meta| place_of(meta) == locked) {
            return Ok(None);
        }
        if !is_whole(&manifest, &dir.join(OBJECTS)) {
            tracing::warn!(
                "Building `{}` anew: files are missing or cut short",
                dir.display()
            );
            self.set_aside(dir)?;
            return Ok(None);
        }
        Ok(Some(manifest))
    }

    /// Removes the store at `dir`. It goes by a rename: half a store is never seen under its name.
    fn set_aside(&self, dir: &Path) -> io::Result<()> {
        let scratch = self.scratch_folder()?;
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::Before);
        match std::fs::rename(dir, scratch.path().join("base")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::After);
        scratch.close()
    }

    /// Builds the store of `commit`; when another process was faster, theirs stands.
    async fn build_base_store(&self, commit: &ObjectId, dir: &Path) -> Result<(), BaseStoreError> {
        let io = |source| BaseStoreError::Io {
            dir: dir.to_path_buf(),
            source,
        };
        let scratch = self.scratch_folder().map_err(io)?;
        let fresh = scratch.path().join("base");
        let packs = fresh.join(OBJECTS).join("pack");
        std::fs::create_dir_all(&packs).map_err(io)?;
        let request = format!("{commit}\n");
        self.call("pack-objects")
            .args(PACK_ARGUMENTS)
            .arg(packs.join("pack"))
            .stdin_bytes(request.as_bytes())
            .deadline_seconds(PACK_SECONDS_MAX)
            .run()
            .await
            .map_err(|source| BaseStoreError::Git {
                commit: commit.clone(),
                source,
            })?;
        let place = fresh.clone();
        off_thread(move || write_manifest(&place))
            .await
            .map_err(io)?;
        std::fs::create_dir_all(self.dir.join(PLACE)).map_err(io)?;
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::Before);
        match std::fs::rename(&fresh, dir) {
            Err(error) if !dir.join(MANIFEST).is_file() => return Err(io(error)),
            Ok(()) | Err(_) => {}
        }
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::After);
        debug!(%commit, "Set the history of {commit} apart for sandboxes");
        Ok(())
    }
}

/// The commits that the mirror at `dir` has base stores of.
///
/// # Errors
/// When the folder cannot be read.
pub fn base_stores(dir: &Path) -> io::Result<Vec<ObjectId>> {
    let entries = match std::fs::read_dir(dir.join(PLACE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name()));
    let names: Vec<_> = names.collect::<io::Result<_>>()?;
    Ok(names
        .iter()
        .filter_map(|name| ObjectId::parse(name.to_str()?).ok())
        .collect())
}

/// Runs what waits for the disk off the threads that serve others.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)?
}

/// Writes the manifest of the store at `dir` and lets every account read it: a sandbox's program is
/// not of ours.
fn write_manifest(dir: &Path) -> io::Result<()> {
    let objects = dir.join(OBJECTS);
    let packs = objects.join("pack");
    let mut listed = String::new();
    for entry in std::fs::read_dir(&packs)? {
        let entry = entry?;
        let (name, bytes) = (entry.file_name(), entry.metadata()?.len());
        listed.push_str(&format!("{bytes} pack/{}\n", name.to_string_lossy()));
        std::fs::set_permissions(entry.path(), Permissions::from_mode(0o444))?;
    }
    for open in [dir, &objects, &packs] {
        std::fs::set_permissions(open, Permissions::from_mode(0o755))?;
    }
    let manifest = dir.join(MANIFEST);
    write_private(&manifest, listed.as_bytes())?;
    for written in [&manifest, &packs, &objects, dir] {
        File::open(written)?.sync_all()?;
    }
    Ok(())
}

/// Whether every file the manifest lists has the length it had.
fn is_whole(manifest: &File, objects: &Path) -> bool {
    let mut listed = String::new();
    let read = manifest
        .take(MANIFEST_BYTES_MAX)
        .read_to_string(&mut listed);
    let has = |line: &str| {
        line.split_once(' ').is_some_and(|(bytes, name)| {
            let found = std::fs::metadata(objects.join(name));
            found.is_ok_and(|meta| bytes.parse() == Ok(meta.len()))
        })
    };
    read.is_ok() && !listed.is_empty() && listed.lines().all(has)
}
