//! Layers that go: the oldest, those that cannot be believed, and what a dead process left.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tracing::debug;

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use super::manifest::LayerManifest;
use super::{LayerFolder, MANIFEST, SCRATCH, is_same_file};
use crate::mirror::off_thread;

/// A layer found in the folder.
pub(super) struct FoundLayer {
    pub(super) dir: PathBuf,
    pub(super) manifest: LayerManifest,
    pub(super) used: SystemTime,
}

impl LayerFolder {
    /// Removes layers, the one used longest ago first, until the rest takes `bytes_max` or is in use. Files that
    /// several layers share count for each.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn remove_oldest(&self, bytes_max: u64) -> io::Result<()> {
        let folder = self.clone();
        off_thread(move || folder.keep_within(bytes_max)).await
    }

    fn keep_within(&self, bytes_max: u64) -> io::Result<()> {
        let mut found = self.list_layers()?;
        found.sort_by_key(|layer| layer.used);
        let mut bytes: u64 = found.iter().map(|layer| layer.manifest.bytes).sum();
        for layer in found {
            if bytes <= bytes_max {
                break;
            }
            if self.remove_unused(&layer.dir)? {
                bytes = bytes.saturating_sub(layer.manifest.bytes);
                debug!(bytes = layer.manifest.bytes, "Removed a prepared layer");
            }
        }
        Ok(())
    }

    /// Removes the layer that was used longest ago of those that nothing uses; false when there is none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_one(&self) -> io::Result<bool> {
        let mut found = self.list_layers()?;
        found.sort_by_key(|layer| layer.used);
        for layer in found {
            if self.remove_unused(&layer.dir)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the layer at `dir` unless something uses it; true when it is gone by this.
    pub(super) fn remove_unused(&self, dir: &Path) -> io::Result<bool> {
        let path = dir.join(MANIFEST);
        let Ok(manifest) = File::open(&path) else {
            return Ok(false);
        };
        match manifest.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
            // Another layer may stand there by now, in use.
            Ok(()) if !is_same_file(&manifest, &path)? => Ok(false),
            Ok(()) => self.set_aside(dir).map(|()| true),
        }
    }

    /// Removes the packages called `digest`, unless something uses them; true when they are gone by this.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_packages(&self, digest: &str) -> io::Result<bool> {
        self.remove_unused(&self.layer_dir(digest))
    }

    /// Removes what a process that died left half made. To be called before anything is made there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clear_leftovers(&self) -> io::Result<()> {
        for entry in entries_of(&self.0)? {
            let name = entry.file_name();
            if !name.as_encoded_bytes().starts_with(SCRATCH.as_bytes()) {
                continue;
            }
            match entry.file_type()?.is_dir() {
                true => std::fs::remove_dir_all(entry.path())?,
                false => std::fs::remove_file(entry.path())?,
            }
        }
        Ok(())
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

    pub(super) fn list_layers(&self) -> io::Result<Vec<FoundLayer>> {
        let mut found = Vec::new();
        for entry in entries_of(&self.0)? {
            let dir = entry.path();
            let Ok(file) = File::open(dir.join(MANIFEST)) else {
                continue;
            };
            let Some(manifest) = LayerManifest::read(&file)? else {
                debug!(dir = %dir.display(), "Removing a layer whose manifest a power cut damaged");
                self.remove_unused(&dir)?;
                continue;
            };
            let used = file.metadata()?.modified()?;
            found.push(FoundLayer {
                dir,
                manifest,
                used,
            });
        }
        Ok(found)
    }
}

fn entries_of(dir: &Path) -> io::Result<Vec<std::fs::DirEntry>> {
    match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}
