//! How much the cache holds, and what goes first when it is full.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use omoi_domain::time::Timestamp;
use tracing::info;

/// Counts the files of the cache by their paths below its folder.
pub(super) struct CacheQuota {
    bytes_max: u64,
    files: Mutex<CountedFiles>,
}

#[derive(Default)]
struct CountedFiles {
    used_bytes: u64,
    by_path: HashMap<PathBuf, CountedFile>,
    by_age: BTreeSet<(Timestamp, PathBuf)>,
}

#[derive(Clone, Copy)]
struct CountedFile {
    bytes: u64,
    used_at: Timestamp,
}

impl CacheQuota {
    /// Counts what lies below `root`; what was left half-way by an earlier process is removed.
    pub(super) fn scan_folder(root: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut files = CountedFiles::default();
        let partial = root.join("partial");
        if partial.exists() {
            std::fs::remove_dir_all(&partial)?;
        }
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    // Records are small and are found to be stale when they are read.
                    if entry.file_name() != "records" {
                        folders.push(entry.path());
                    }
                    continue;
                }
                let modified = metadata.modified()?.duration_since(UNIX_EPOCH);
                let used_at = Timestamp::default() + modified.unwrap_or(Duration::ZERO);
                let path = entry.path();
                let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
                files.insert(path, metadata.len(), used_at);
            }
        }
        info!(
            bytes = files.used_bytes,
            files = files.by_path.len(),
            "Opened the cache of packages"
        );
        Ok(Self {
            bytes_max,
            files: Mutex::new(files),
        })
    }

    /// Notes that a file was used.
    pub(super) fn mark_used(&self, path: &Path, now: Timestamp) {
        let mut files = self.files();
        if let Some(file) = files.by_path.get(path).copied() {
            files.insert(path.to_owned(), file.bytes, now);
        }
    }

    /// Counts a file and gives those to remove, oldest use first. The file itself stays, however large.
    pub(super) fn admit_file(&self, path: PathBuf, bytes: u64, now: Timestamp) -> Vec<PathBuf> {
        let mut files = self.files();
        files.insert(path.clone(), bytes, now);
        let mut removed = Vec::new();
        while files.used_bytes > self.bytes_max {
            let oldest = files
                .by_age
                .iter()
                .map(|(_, path)| path)
                .find(|other| **other != path);
            let Some(oldest) = oldest.cloned() else {
                break;
            };
            files.remove(&oldest);
            removed.push(oldest);
        }
        removed
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.files().used_bytes
    }

    fn files(&self) -> MutexGuard<'_, CountedFiles> {
        // Each step leaves the counts whole.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CountedFiles {
    fn insert(&mut self, path: PathBuf, bytes: u64, used_at: Timestamp) {
        self.remove(&path);
        self.used_bytes += bytes;
        self.by_age.insert((used_at, path.clone()));
        self.by_path.insert(path, CountedFile { bytes, used_at });
    }

    fn remove(&mut self, path: &Path) {
        if let Some(file) = self.by_path.remove(path) {
            self.used_bytes -= file.bytes;
            self.by_age.remove(&(file.used_at, path.to_owned()));
        }
    }
}
