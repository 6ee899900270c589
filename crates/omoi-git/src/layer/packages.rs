//! Packages that a set-up installed, kept apart from the checkout that it ran in, for every commit that asks for the
//! same ones.
//!
//! Unlike a checkout they cannot be made again from what is on the disk, so they are forced onto it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tracing::debug;

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use super::comparison::{DependencyFacts, LayerListing, unexplained_paths};
use super::manifest::{LayerContent, LayerManifest, disk_bytes};
use super::package_tree::{AddedFiles, TrackedFiles, copy_packages, text_of};
use super::{FILES, LayerError, LayerFolder, MANIFEST};
use crate::mirror::off_thread;
use crate::plain_file::exclude_paths;
use crate::process::write_private;
use crate::survey::SetupPlan;

/// Installed packages; they stay where they are while this value lives.
#[derive(Debug)]
pub struct PackageLayer {
    dir: PathBuf,
    record: PackageRecord,
    is_new: bool,
    _in_use: File,
}

/// What is known of installed packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRecord {
    /// What installed them.
    pub plan: SetupPlan,
    /// Packages that came in from registries for it.
    pub packages: Vec<String>,
    /// The outermost folders and files that it added.
    pub roots: Vec<String>,
    /// What those who installed them called the folder of the checkout.
    pub work: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What it was compared with before it was kept.
    pub comparison: LayerComparison,
}

/// What packages were compared with before they were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerComparison {
    /// With nothing: they are those of a base commit, by which others are measured.
    IsBase,
    /// With those of the base commit.
    WithBase,
    /// With nothing, for the base commit could not be set up.
    Uncompared,
}

/// What a set-up is measured by.
#[derive(Debug)]
pub enum SetupReference {
    /// By nothing: it runs on the base commit.
    IsBase,
    /// By what is installed for the base commit, and by what says which of that may change.
    Base {
        /// Packages of the base; of a path that several have, the first says what it is.
        layers: Vec<PackageLayer>,
        /// What says what may differ.
        facts: Box<DependencyFacts>,
    },
    /// By nothing: the base commit could not be set up.
    Missing,
}

impl SetupReference {
    fn comparison(&self) -> LayerComparison {
        match self {
            Self::IsBase => LayerComparison::IsBase,
            Self::Base { .. } => LayerComparison::WithBase,
            Self::Missing => LayerComparison::Uncompared,
        }
    }
}

/// A set-up that ran to its end.
#[derive(Debug)]
pub struct FinishedSetup<'a> {
    /// The checkout that it ran in.
    pub dir: &'a Path,
    /// The files of the commit, before it ran.
    pub tracked: TrackedFiles,
    /// What ran.
    pub plan: SetupPlan,
    /// Packages that came in from registries.
    pub packages: Vec<String>,
    /// What its commands called the folder.
    pub work: String,
    /// How long it took.
    pub took: Duration,
    /// What it is measured by.
    pub reference: SetupReference,
}

/// What became of what a set-up made.
#[derive(Debug)]
pub enum KeptPackages {
    /// It is a layer now.
    Kept(PackageLayer),
    /// It changed files of the commit, these and perhaps more.
    Changed(Vec<String>),
    /// It added, changed or left out files of packages though no lock file says so: these paths.
    Unexplained(Vec<String>),
}

impl PackageLayer {
    /// The files, which nobody may change.
    pub fn files_dir(&self) -> PathBuf {
        self.dir.join(FILES)
    }

    /// Whether whoever asked for them had them installed.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Its name: equal where the same commands install the same things.
    pub fn layer_digest(&self) -> &str {
        let name = self.dir.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    /// What is known of them.
    pub fn record(&self) -> &PackageRecord {
        &self.record
    }

    /// Copies them into the work tree `dest`, where its own files stay.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn copy_into(&self, dest: &Path) -> io::Result<()> {
        let (from, to) = (self.files_dir(), dest.to_path_buf());
        off_thread(move || copy_packages(&from, &to)).await
    }

    /// Has git in the work tree `dest`, which nobody else has touched, take them for no work.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn hide_from_git(&self, dest: &Path) -> io::Result<()> {
        exclude_paths(dest, &self.record.roots)
    }
}

impl LayerFolder {
    /// The packages called `digest`, if they are there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn find_packages(&self, digest: &str) -> Result<Option<PackageLayer>, LayerError> {
        let (folder, dir) = (self.clone(), self.layer_dir(digest));
        let place = dir.clone();
        let opened = off_thread(move || folder.open_layer(&place)).await;
        let opened = opened.map_err(LayerError::io(&dir))?;
        Ok(
            opened.and_then(|(in_use, manifest)| match manifest.content {
                LayerContent::Packages(record) => Some(PackageLayer {
                    dir,
                    record,
                    is_new: false,
                    _in_use: in_use,
                }),
                LayerContent::Checkout { .. } => None,
            }),
        )
    }

    /// Keeps what a set-up added as the packages called `digest` of `project`, unless it changed what it must not.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn keep_packages(
        &self,
        digest: &str,
        project: &str,
        finished: FinishedSetup<'_>,
    ) -> Result<KeptPackages, LayerError> {
        let dir = self.layer_dir(digest);
        let FinishedSetup {
            dir: made,
            tracked,
            plan,
            packages,
            work,
            took,
            reference,
        } = finished;
        let made = made.to_path_buf();
        let compared = off_thread({
            let made = made.clone();
            move || tracked.compare_folder(&made)
        });
        let AddedFiles { changed, roots } = compared.await.map_err(LayerError::io(&dir))?;
        if !changed.is_empty() {
            return Ok(KeptPackages::Changed(changed));
        }
        let record = PackageRecord {
            plan,
            packages,
            roots: roots.iter().filter_map(|root| text_of(root)).collect(),
            work,
            took_ms: took.as_millis() as u64,
            comparison: reference.comparison(),
        };
        let manifest = LayerManifest {
            project: project.to_owned(),
            content: LayerContent::Packages(record),
            boot: None,
            bytes: 0,
        };
        let (folder, place) = (self.clone(), dir.clone());
        let stored = off_thread(move || {
            let fresh = folder.copy_packages(&made, manifest)?;
            let unexplained = fresh.unexplained_paths(reference)?;
            if unexplained.is_empty() {
                folder.store_packages(fresh, &place)?;
            }
            Ok(unexplained)
        });
        let unexplained = stored.await.map_err(LayerError::io(&dir))?;
        if !unexplained.is_empty() {
            return Ok(KeptPackages::Unexplained(unexplained));
        }
        let found = self.find_packages(digest).await?;
        let mut layer = found.ok_or(LayerError::Unstable { dir })?;
        layer.is_new = true;
        Ok(KeptPackages::Kept(layer))
    }

    /// Copies what was installed below `made` beside the layers.
    fn copy_packages(&self, made: &Path, manifest: LayerManifest) -> io::Result<FreshPackages> {
        let scratch = self.scratch_folder()?;
        let files = scratch.path().join("layer").join(FILES);
        std::fs::create_dir_all(&files)?;
        for root in &manifest.content.package_record()?.roots {
            if let Some(folder) = Path::new(root).parent() {
                std::fs::create_dir_all(files.join(folder))?;
            }
            copy_packages(&made.join(root), &files.join(root))?;
        }
        Ok(FreshPackages { scratch, manifest })
    }

    fn store_packages(&self, fresh: FreshPackages, dir: &Path) -> io::Result<()> {
        let FreshPackages {
            scratch,
            mut manifest,
        } = fresh;
        let fresh = scratch.path().join("layer");
        manifest.bytes = disk_bytes(&fresh.join(FILES))?;
        let n_roots = manifest.content.package_record()?.roots.len();
        let bytes = manifest.bytes;
        write_private(&fresh.join(MANIFEST), manifest.to_text()?.as_bytes())?;
        let parent = File::open(&self.0)?;
        rustix::fs::syncfs(&parent)?;
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::Before);
        match std::fs::rename(&fresh, dir) {
            Err(error) if !dir.join(MANIFEST).is_file() => return Err(error),
            Ok(()) | Err(_) => {}
        }
        parent.sync_all()?;
        crash::pass_point(CrashPoint::FileReplaced, CrashSide::After);
        debug!(bytes, n_roots, "Kept the packages of a set-up");
        scratch.close()
    }
}

/// Packages that are no layer yet.
struct FreshPackages {
    scratch: TempDir,
    manifest: LayerManifest,
}

impl FreshPackages {
    /// Paths that are not as `reference` has them, though nothing says that they change.
    fn unexplained_paths(&self, reference: SetupReference) -> io::Result<Vec<String>> {
        let SetupReference::Base { layers, mut facts } = reference else {
            return Ok(Vec::new());
        };
        let record = self.manifest.content.package_record()?;
        let mut base = LayerListing::default();
        for layer in &layers {
            base.add_missing(LayerListing::read(&layer.files_dir(), &layer.record.work)?);
        }
        let files = self.scratch.path().join("layer").join(FILES);
        let made = LayerListing::read(&files, &record.work)?;
        facts.arrived.extend(record.packages.iter().cloned());
        let found = unexplained_paths(&base, &made, &facts);
        Ok(found.into_iter().collect())
    }
}
