//! Prepared checkouts: the files of one commit, made once, over which workspaces are laid.
//!
//! A layer never changes: workspaces that are laid over it keep what they change to themselves. It appears by a
//! rename when it is complete and can be removed at any time: a lock keeps it while something uses it. The layer of
//! the next commit shares the files that did not change with the newest layer of the same project, by hard links:
//! git replaces a file, it never writes into one.
//!
//! A layer is believed in the boot of the machine that it was made in. Its files are not forced onto the disk, so
//! after a power cut some might be empty; it is made anew then.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tracing::debug;

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use crate::clone::{CloneError, fill_layer};
use crate::mirror::{BaseStore, off_thread};
use crate::object::ObjectId;
use crate::process::write_private;

const MANIFEST: &str = "manifest";
const FILES: &str = "files";
const INDEX: &str = "index";
/// Layers that are being made or removed; their names begin with it.
const SCRATCH: &str = ".new-";
/// Longest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 4 << 10;
/// Tries to use a layer that others remove at the same time.
const OPENINGS_MAX: usize = 10;
/// The unit of `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// Why there is no prepared checkout.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file system operation failed.
    #[error("could not use the prepared checkout at `{dir}`")]
    Io {
        /// Folder of the layer.
        dir: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// Git could not write its files.
    #[error("could not write the files of the prepared checkout")]
    Checkout(#[from] CloneError),
    /// Every layer that was made was gone before it could be used.
    #[error("the prepared checkout at `{dir}` is removed as often as it is made")]
    Unstable {
        /// Folder of the layer.
        dir: PathBuf,
    },
}

/// The prepared checkouts of one data folder.
#[derive(Clone, Debug)]
pub struct LayerFolder(PathBuf);

/// The files of one commit; they stay where they are while this value lives.
#[derive(Debug)]
pub struct CheckoutLayer {
    dir: PathBuf,
    commit: ObjectId,
    _in_use: File,
}

impl CheckoutLayer {
    /// The files, which nobody may change.
    pub fn files_dir(&self) -> PathBuf {
        self.dir.join(FILES)
    }

    /// The commit whose files they are.
    pub fn checked_out(&self) -> &ObjectId {
        &self.commit
    }

    /// Git's index of the files.
    pub(crate) fn index_file(&self) -> PathBuf {
        self.dir.join(INDEX)
    }
}

/// What a manifest tells.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LayerManifest {
    project: String,
    commit: ObjectId,
    boot: String,
    bytes: u64,
}

impl LayerManifest {
    fn to_text(&self) -> String {
        let Self {
            project,
            commit,
            boot,
            bytes,
        } = self;
        format!("{project}\n{commit}\n{boot}\n{bytes}\n")
    }

    fn parse_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        Some(Self {
            project: lines.next()?.to_owned(),
            commit: ObjectId::parse(lines.next()?).ok()?,
            boot: lines.next()?.to_owned(),
            bytes: lines.next()?.parse().ok()?,
        })
    }
}

/// A layer found in the folder.
struct FoundLayer {
    dir: PathBuf,
    manifest: LayerManifest,
    used: SystemTime,
}

impl LayerFolder {
    /// The layers below `place`, which need not exist.
    pub fn new(place: PathBuf) -> Self {
        Self(place)
    }

    /// The files of the commit of `base`, made where there are none.
    ///
    /// # Errors
    /// When git or the disk refuses.
    pub async fn prepared_checkout(&self, base: &BaseStore) -> Result<CheckoutLayer, LayerError> {
        let project = project_name(base);
        let commit = base.tip();
        let digest = Sha256::digest(format!("{project}\n{commit}\n"));
        let dir = self.0.join(hex::encode(digest));
        let io = |source| LayerError::Io {
            dir: dir.clone(),
            source,
        };
        for _ in 0..OPENINGS_MAX {
            let (folder, place) = (self.clone(), dir.clone());
            let opened = off_thread(move || folder.open_layer(&place)).await;
            if let Some((in_use, manifest)) = opened.map_err(io)? {
                return Ok(CheckoutLayer {
                    dir,
                    commit: manifest.commit,
                    _in_use: in_use,
                });
            }
            self.make_layer(base, &project, &dir).await?;
        }
        Err(LayerError::Unstable { dir })
    }

    /// Removes layers, the one used longest ago first, until the rest takes `bytes_max` or is in use. Files that
    /// several layers share count for each.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_oldest(&self, bytes_max: u64) -> io::Result<()> {
        let mut found = self.list_layers()?;
        found.sort_by_key(|layer| layer.used);
        let mut bytes: u64 = found.iter().map(|layer| layer.manifest.bytes).sum();
        for layer in found {
            if bytes <= bytes_max {
                break;
            }
            let Ok(manifest) = File::open(layer.dir.join(MANIFEST)) else {
                continue;
            };
            match manifest.try_lock() {
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) => {
                    self.set_aside(&layer.dir)?;
                    bytes = bytes.saturating_sub(layer.manifest.bytes);
                    debug!(commit = %layer.manifest.commit, "Removed a prepared checkout");
                }
            }
        }
        Ok(())
    }

    /// Removes what a process that died left half made. To be called before anything is made there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clear_leftovers(&self) -> io::Result<()> {
        for entry in entries_of(&self.0)? {
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(SCRATCH.as_bytes()) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn scratch_folder(&self) -> io::Result<TempDir> {
        std::fs::create_dir_all(&self.0)?;
        tempfile::Builder::new().prefix(SCRATCH).tempdir_in(&self.0)
    }

    /// The lock of the layer at `dir`, shared with others who use it. None when there is no layer; one that cannot
    /// be believed is removed.
    fn open_layer(&self, dir: &Path) -> io::Result<Option<(File, LayerManifest)>> {
        let path = dir.join(MANIFEST);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        file.lock_shared()?;
        // It may have been removed, or made anew, before the lock was ours.
        let place_of = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let locked = place_of(file.metadata()?);
        if !std::fs::metadata(&path).is_ok_and(|meta| place_of(meta) == locked) {
            return Ok(None);
        }
        match read_manifest(&file)? {
            Some(manifest) if manifest.boot == boot_id()? => {
                mark_used(&file)?;
                Ok(Some((file, manifest)))
            }
            Some(_) | None => {
                self.set_aside(dir)?;
                Ok(None)
            }
        }
    }

    /// Removes the layer at `dir`. It goes by a rename: half a layer is never seen under its name.
    fn set_aside(&self, dir: &Path) -> io::Result<()> {
        let scratch = self.scratch_folder()?;
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::Before);
        match std::fs::rename(dir, scratch.path().join("layer")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::After);
        scratch.close()
    }

    /// Makes the layer at `dir`; when somebody else was faster, theirs stands.
    async fn make_layer(
        &self,
        base: &BaseStore,
        project: &str,
        dir: &Path,
    ) -> Result<(), LayerError> {
        let io = |source| LayerError::Io {
            dir: dir.to_path_buf(),
            source,
        };
        let began = Instant::now();
        let scratch = self.scratch_folder().map_err(io)?;
        let fresh = scratch.path().join("layer");
        let files = fresh.join(FILES);
        std::fs::create_dir_all(&files).map_err(io)?;
        let earlier = self.newest_layer(project).map_err(io)?;
        let from = earlier.as_ref().map(|layer| layer.commit.clone());
        fill_layer(base, &files, earlier).await?;
        let (place, manifest) = (fresh.clone(), (project.to_owned(), base.tip().clone()));
        off_thread(move || finish_layer(&place, manifest))
            .await
            .map_err(io)?;
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::Before);
        match std::fs::rename(&fresh, dir) {
            Err(error) if !dir.join(MANIFEST).is_file() => return Err(io(error)),
            Ok(()) | Err(_) => {}
        }
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::After);
        let (commit, ms) = (base.tip(), began.elapsed().as_millis() as u64);
        debug!(%commit, ?from, ms, "Prepared a checkout of {commit}");
        Ok(())
    }

    /// The layer of `project` that was used last, to begin the next one with.
    fn newest_layer(&self, project: &str) -> io::Result<Option<CheckoutLayer>> {
        let mut found = self.list_layers()?;
        found.retain(|layer| layer.manifest.project == project);
        found.sort_by_key(|layer| layer.used);
        while let Some(layer) = found.pop() {
            if let Some((in_use, manifest)) = self.open_layer(&layer.dir)? {
                return Ok(Some(CheckoutLayer {
                    dir: layer.dir,
                    commit: manifest.commit,
                    _in_use: in_use,
                }));
            }
        }
        Ok(None)
    }

    fn list_layers(&self) -> io::Result<Vec<FoundLayer>> {
        let mut found = Vec::new();
        for entry in entries_of(&self.0)? {
            let dir = entry.path();
            let Ok(file) = File::open(dir.join(MANIFEST)) else {
                continue;
            };
            if let Some(manifest) = read_manifest(&file)? {
                let used = file.metadata()?.modified()?;
                found.push(FoundLayer {
                    dir,
                    manifest,
                    used,
                });
            }
        }
        Ok(found)
    }
}

/// Moves the index beside the files and writes the manifest: afterwards the layer is whole.
fn finish_layer(fresh: &Path, (project, commit): (String, ObjectId)) -> io::Result<()> {
    let files = fresh.join(FILES);
    let git_dir = files.join(".git");
    std::fs::rename(git_dir.join("index"), fresh.join(INDEX))?;
    std::fs::remove_dir_all(&git_dir)?;
    let manifest = LayerManifest {
        project,
        commit,
        boot: boot_id()?,
        bytes: disk_bytes(&files)?,
    };
    write_private(&fresh.join(MANIFEST), manifest.to_text().as_bytes())
}

/// Makes every file and folder below `from`, but git's own, appear below `to`: files by hard links.
pub(crate) fn link_files(from: &Path, to: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (there, here) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&here)?;
            link_files(&there, &here)?;
        } else {
            std::fs::hard_link(&there, &here)?;
        }
    }
    Ok(())
}

/// Makes the manifest's time of change that of its last use.
fn mark_used(manifest: &File) -> io::Result<()> {
    let now = |nanoseconds| Timespec {
        tv_sec: 0,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: now(UTIME_OMIT),
        last_modification: now(UTIME_NOW),
    };
    Ok(rustix::fs::futimens(manifest, &times)?)
}

fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += meta.blocks() * BLOCK_BYTES;
        if meta.is_dir() {
            bytes += disk_bytes(&entry.path())?;
        }
    }
    Ok(bytes)
}

fn read_manifest(file: &File) -> io::Result<Option<LayerManifest>> {
    let mut text = String::new();
    file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text)?;
    Ok(LayerManifest::parse_text(&text))
}

/// What tells one boot of the machine from another.
fn boot_id() -> io::Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

/// Whose checkouts these are: the mirror's name.
fn project_name(base: &BaseStore) -> String {
    let name = base.mirror().dir().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn entries_of(dir: &Path) -> io::Result<Vec<std::fs::DirEntry>> {
    match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}
