//! Prepared layers: files made once, over which workspaces are laid.
//!
//! A checkout holds the files of one commit. Packages are what a set-up installed, for every commit that asks for the
//! same ones. A layer never changes: workspaces that are laid over it keep what they change to themselves. It appears
//! by a rename when it is complete and can be removed at any time: a lock keeps it while something uses it. The
//! checkout of the next commit shares the files that did not change with the newest one of the same project, by hard
//! links: git replaces a file, it never writes into one.
//!
//! A checkout is believed in the boot of the machine that it was made in. Its files are not forced onto the disk, so
//! after a power cut some might be empty; it is made anew then.

mod cleanup;
mod comparison;
mod manifest;
mod package_tree;
mod packages;

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tracing::debug;

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use crate::clone::{CloneError, fill_layer};
use crate::mirror::{BaseStore, off_thread};
use crate::object::ObjectId;
use crate::process::write_private;
use manifest::{LayerContent, LayerManifest, boot_id, disk_bytes, mark_used};

pub use comparison::{DependencyFacts, NodePlace, NodePlaces, PACKAGES_FOLDER};
pub use package_tree::TrackedFiles;
pub(crate) use package_tree::ignore_lines;
pub use packages::{
    FinishedSetup, KeptPackages, LayerComparison, PackageLayer, PackageRecord, SetupReference,
};

const MANIFEST: &str = "manifest";
const FILES: &str = "files";
const INDEX: &str = "index";
/// Layers that are being made or removed, and locks of those who make them; their names begin with it.
const SCRATCH: &str = ".new-";
/// Tries to use a layer that others remove at the same time.
const OPENINGS_MAX: usize = 10;

/// Why there is no prepared layer.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file system operation failed.
    #[error("could not use the prepared layer at `{dir}`")]
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
    #[error("the prepared layer at `{dir}` is removed as often as it is made")]
    Unstable {
        /// Folder of the layer.
        dir: PathBuf,
    },
}

impl LayerError {
    fn io(dir: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            dir: dir.to_path_buf(),
            source,
        }
    }
}

/// The prepared layers of one data folder.
#[derive(Clone, Debug)]
pub struct LayerFolder(PathBuf);

/// The files of one commit; they stay where they are while this value lives.
#[derive(Debug)]
pub struct CheckoutLayer {
    dir: PathBuf,
    commit: ObjectId,
    is_new: bool,
    _in_use: File,
}

impl CheckoutLayer {
    /// The files, which nobody may change.
    pub fn files_dir(&self) -> PathBuf {
        self.dir.join(FILES)
    }

    /// Whether whoever asked for it had it made.
    pub fn is_new(&self) -> bool {
        self.is_new
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

impl LayerFolder {
    /// The layers below `place`, which need not exist.
    pub fn new(place: PathBuf) -> Self {
        Self(place)
    }

    /// The files of the commit of `base`, made where there are none. Of several callers one makes them.
    ///
    /// # Errors
    /// When git or the disk refuses.
    pub async fn prepared_checkout(&self, base: &BaseStore) -> Result<CheckoutLayer, LayerError> {
        let project = project_name(base);
        let commit = base.tip();
        let digest = hex::encode(Sha256::digest(format!("{project}\n{commit}\n")));
        let dir = self.layer_dir(&digest);
        let mut is_new = false;
        for _ in 0..OPENINGS_MAX {
            if let Some(layer) = self.open_checkout(&dir).await? {
                return Ok(CheckoutLayer { is_new, ..layer });
            }
            let making = self
                .lock_making(&digest)
                .await
                .map_err(LayerError::io(&dir))?;
            if let Some(layer) = self.open_checkout(&dir).await? {
                return Ok(layer);
            }
            self.make_layer(base, &project, &dir).await?;
            is_new = true;
            drop(making);
        }
        Err(LayerError::Unstable { dir })
    }

    fn layer_dir(&self, digest: &str) -> PathBuf {
        self.0.join(digest)
    }

    async fn open_checkout(&self, dir: &Path) -> Result<Option<CheckoutLayer>, LayerError> {
        let (folder, place) = (self.clone(), dir.to_path_buf());
        let opened = off_thread(move || folder.open_layer(&place)).await;
        let opened = opened.map_err(LayerError::io(dir))?;
        Ok(opened.and_then(|(in_use, manifest)| checkout_layer(dir, in_use, manifest)))
    }

    /// Keeps others from making the layer called `digest` while the returned file lives.
    async fn lock_making(&self, digest: &str) -> io::Result<File> {
        let (folder, path) = (
            self.0.clone(),
            self.0.join(format!("{SCRATCH}{digest}.lock")),
        );
        off_thread(move || {
            std::fs::create_dir_all(folder)?;
            let lock = File::options().create(true).append(true).open(path)?;
            lock.lock()?;
            Ok(lock)
        })
        .await
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
        if !is_same_file(&file, &path)? {
            return Ok(None);
        }
        let boot = boot_id()?;
        match LayerManifest::read(&file)? {
            Some(manifest) if manifest.is_believed(&boot) => {
                mark_used(&file)?;
                Ok(Some((file, manifest)))
            }
            Some(_) | None => {
                // Whoever removes it has to be its only user, and somebody may have made it anew meanwhile.
                drop(file);
                self.remove_unused(dir)?;
                Ok(None)
            }
        }
    }

    /// Makes the layer at `dir`; when somebody else was faster, theirs stands.
    async fn make_layer(
        &self,
        base: &BaseStore,
        project: &str,
        dir: &Path,
    ) -> Result<(), LayerError> {
        let io = LayerError::io(dir);
        let began = Instant::now();
        let scratch = self.scratch_folder().map_err(&io)?;
        let fresh = scratch.path().join("layer");
        let files = fresh.join(FILES);
        std::fs::create_dir_all(&files).map_err(&io)?;
        let (folder, of_project) = (self.clone(), project.to_owned());
        let earlier = off_thread(move || folder.newest_checkout(&of_project)).await;
        let earlier = earlier.map_err(&io)?;
        let from = earlier.as_ref().map(|layer| layer.commit.clone());
        fill_layer(base, &files, earlier).await?;
        let (place, project, commit) = (fresh.clone(), project.to_owned(), base.tip().clone());
        off_thread(move || finish_checkout(&place, project, commit))
            .await
            .map_err(&io)?;
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::Before);
        match std::fs::rename(&fresh, dir) {
            Err(error) if !dir.join(MANIFEST).is_file() => return Err(io(error)),
            Ok(()) | Err(_) => {}
        }
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::After);
        // Whoever was slower has a whole tree to remove.
        off_thread(move || scratch.close()).await.map_err(&io)?;
        let (commit, ms) = (base.tip(), began.elapsed().as_millis() as u64);
        debug!(%commit, ?from, ms, "Prepared a checkout of {commit}");
        Ok(())
    }

    /// The checkout of `project` that was used last, to begin the next one with.
    fn newest_checkout(&self, project: &str) -> io::Result<Option<CheckoutLayer>> {
        let mut found = self.list_layers()?;
        found.retain(|layer| layer.manifest.is_checkout_of(project));
        found.sort_by_key(|layer| layer.used);
        while let Some(layer) = found.pop() {
            if let Some((in_use, manifest)) = self.open_layer(&layer.dir)? {
                return Ok(checkout_layer(&layer.dir, in_use, manifest));
            }
        }
        Ok(None)
    }
}

/// Whether `path` still names the open `file`.
fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let place_of = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    let opened = place_of(file.metadata()?);
    Ok(std::fs::metadata(path).is_ok_and(|meta| place_of(meta) == opened))
}

fn checkout_layer(dir: &Path, in_use: File, manifest: LayerManifest) -> Option<CheckoutLayer> {
    match manifest.content {
        LayerContent::Checkout { commit } => Some(CheckoutLayer {
            dir: dir.to_path_buf(),
            commit,
            is_new: false,
            _in_use: in_use,
        }),
        LayerContent::Packages(_) => None,
    }
}

/// Moves the index beside the files and writes the manifest: afterwards the layer is whole.
fn finish_checkout(fresh: &Path, project: String, commit: ObjectId) -> io::Result<()> {
    let files = fresh.join(FILES);
    let git_dir = files.join(".git");
    std::fs::rename(git_dir.join("index"), fresh.join(INDEX))?;
    std::fs::remove_dir_all(&git_dir)?;
    let manifest = LayerManifest {
        project,
        content: LayerContent::Checkout { commit },
        boot: Some(boot_id()?),
        bytes: disk_bytes(&files)?,
    };
    write_private(&fresh.join(MANIFEST), manifest.to_text()?.as_bytes())
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

/// Whose layers these are: the mirror's name.
fn project_name(base: &BaseStore) -> String {
    let name = base.mirror().dir().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
