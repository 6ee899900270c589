//! What came from registries, on disk: files by the digest of their content, and documents.
//!
//! A file gets its name only after its sum was checked, so that nothing in the cache is in doubt. Files
//! and documents of a private registry lie apart for each organisation. When the folder is full, what was
//! used longest ago goes first.

mod quota;
mod writer;

use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use omoi_domain::time::Timestamp;
use omoi_runtime::clock::Clocked;
use serde::{Deserialize, Serialize};
use tokio::fs;
use tracing::warn;

use crate::package::{PackageRegistry, PackageVersion, sha256_hex};
use quota::CacheQuota;
pub use writer::ArtefactWriter;

/// Whose packages a part of the cache holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CachePartition {
    /// Those that anybody can fetch.
    Public,
    /// Those of a private registry, as one organisation sees them.
    Private(String),
}

impl CachePartition {
    fn folder(&self) -> String {
        match self {
            Self::Public => "public".to_owned(),
            // The name of an organisation is not a name of a folder.
            Self::Private(organisation) => {
                format!("private-{}", &sha256_hex(organisation.as_bytes())[..32])
            }
        }
    }
}

/// What an entry of the cache is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// Whose.
    pub partition: CachePartition,
    /// The host that has it.
    pub host: String,
    /// Its path there.
    pub path: String,
}

impl CacheKey {
    /// The name of the entry's file.
    fn digest(&self) -> String {
        sha256_hex(format!("{}\n{}", self.host, self.path).as_bytes())
    }
}

/// A document as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedDocument {
    /// Its bytes.
    pub body: Bytes,
    /// What the registry calls this copy.
    pub etag: Option<String>,
    /// When it was fetched, or last found unchanged.
    pub fetched_at: Timestamp,
    /// When the registry says that this copy was made.
    pub modified_at: Option<Timestamp>,
    /// When any copy of it was first fetched.
    pub first_seen: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct DocumentHead {
    etag: Option<String>,
    fetched_at: Timestamp,
    modified_at: Option<Timestamp>,
    first_seen: Timestamp,
    /// SHA-256 of the body, so that half a file is no document.
    digest: String,
}

/// A file of a package that lies in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedArtefact {
    /// The package's registry.
    pub registry: PackageRegistry,
    /// The package's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// When it was published, where anything says so.
    pub published_at: Option<Timestamp>,
    /// SHA-256 of the bytes, in hexadecimal digits.
    pub digest: String,
    /// The size.
    pub bytes: u64,
}

impl CachedArtefact {
    /// The version that the file is of.
    pub fn package_version(&self) -> PackageVersion {
        crate::package::PackageName::new(self.registry, &self.name).at_version(&self.version)
    }
}

/// The cache of one deployment.
#[derive(Clone)]
pub struct RegistryCache {
    root: Arc<Path>,
    clock: Clocked,
    quota: Arc<CacheQuota>,
}

impl RegistryCache {
    /// Opens the cache in `root`, which may hold `bytes_max` bytes.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: PathBuf, bytes_max: u64, clock: Clocked) -> io::Result<Self> {
        std::fs::create_dir_all(&root)?;
        let quota = CacheQuota::scan_folder(&root, bytes_max)?;
        Ok(Self {
            root: Arc::from(root),
            clock,
            quota: Arc::new(quota),
        })
    }

    /// The size of the document of `key` on disk; nothing where there is none.
    pub async fn document_bytes(&self, key: &CacheKey) -> u64 {
        let path = self.root.join(self.document_path(key));
        fs::metadata(path).await.map_or(0, |file| file.len())
    }

    /// Puts `bytes` into a file without a name, which takes room until it is closed.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn spool_bytes(&self, bytes: &[u8]) -> io::Result<std::fs::File> {
        let folder = self.root.join("partial");
        std::fs::create_dir_all(&folder)?;
        let mut file = tempfile::tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.rewind()?;
        Ok(file)
    }

    /// The document of `key`, if a whole one is there.
    pub async fn read_document(&self, key: &CacheKey) -> Option<CachedDocument> {
        let path = self.document_path(key);
        let bytes = fs::read(self.root.join(&path)).await.ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: DocumentHead = serde_json::from_slice(&bytes[..end]).ok()?;
        let body = Bytes::from(bytes).slice(end + 1..);
        if sha256_hex(&body) != head.digest {
            warn!("A document of the cache is damaged and is fetched again");
            return None;
        }
        self.quota.mark_used(&path, self.clock.now());
        Some(CachedDocument {
            body,
            etag: head.etag,
            fetched_at: head.fetched_at,
            modified_at: head.modified_at,
            first_seen: head.first_seen,
        })
    }

    /// Keeps a document in the place of an older copy.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn write_document(
        &self,
        key: &CacheKey,
        document: &CachedDocument,
    ) -> io::Result<()> {
        let head = DocumentHead {
            etag: document.etag.clone(),
            fetched_at: document.fetched_at,
            modified_at: document.modified_at,
            first_seen: document.first_seen,
            digest: sha256_hex(&document.body),
        };
        let mut bytes = serde_json::to_vec(&head)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&document.body);
        let path = self.document_path(key);
        self.replace(&path, &bytes).await?;
        self.count_file(path, bytes.len() as u64).await;
        Ok(())
    }

    /// The file of `key`, if it is there.
    pub async fn find_artefact(&self, key: &CacheKey) -> Option<CachedArtefact> {
        let record = self.root.join(self.record_path(key));
        let bytes = fs::read(&record).await.ok()?;
        let artefact: CachedArtefact = serde_json::from_slice(&bytes).ok()?;
        let path = self.artefact_path(&key.partition, &artefact.digest);
        let held = fs::metadata(self.root.join(&path))
            .await
            .map(|file| file.len());
        if held.as_ref().ok() != Some(&artefact.bytes) {
            // The quota took the file away, or it is damaged: it is fetched again.
            if let Err(error) = fs::remove_file(&record).await {
                warn!("Could not remove a stale record from the cache: {error}");
            }
            return None;
        }
        self.quota.mark_used(&path, self.clock.now());
        Some(artefact)
    }

    /// Opens a file of the cache for reading.
    ///
    /// # Errors
    /// When it has gone.
    pub async fn open_artefact(
        &self,
        key: &CacheKey,
        artefact: &CachedArtefact,
    ) -> io::Result<fs::File> {
        fs::File::open(
            self.root
                .join(self.artefact_path(&key.partition, &artefact.digest)),
        )
        .await
    }

    /// Begins a file, which is in the cache once it is kept.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn begin_artefact(&self) -> io::Result<ArtefactWriter> {
        let folder = self.root.join("partial");
        fs::create_dir_all(&folder).await?;
        ArtefactWriter::begin(&folder)
    }

    /// Gives a checked file its place and remembers what it is.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn keep_artefact(
        &self,
        key: &CacheKey,
        writer: ArtefactWriter,
        artefact: &CachedArtefact,
    ) -> io::Result<()> {
        let path = self.artefact_path(&key.partition, &artefact.digest);
        let target = self.root.join(&path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).await?;
        }
        writer.keep_as(&target).await?;
        self.count_file(path, artefact.bytes).await;
        self.replace(&self.record_path(key), &serde_json::to_vec(artefact)?)
            .await
    }

    /// Bytes that the cache holds.
    pub fn used_bytes(&self) -> u64 {
        self.quota.used_bytes()
    }

    /// Counts a file, and removes those that were used longest ago until all fit.
    async fn count_file(&self, path: PathBuf, bytes: u64) {
        for path in self.quota.admit_file(path, bytes, self.clock.now()) {
            if let Err(error) = fs::remove_file(self.root.join(&path)).await {
                warn!(
                    "Could not remove {} from the cache: {error}",
                    path.display()
                );
            }
        }
    }

    async fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let target = self.root.join(path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).await?;
        }
        let mut writer = self.begin_artefact().await?;
        writer.append(bytes).await?;
        writer.keep_as(&target).await
    }

    fn document_path(&self, key: &CacheKey) -> PathBuf {
        self.entry_path(key, "documents")
    }

    fn record_path(&self, key: &CacheKey) -> PathBuf {
        self.entry_path(key, "records")
    }

    fn entry_path(&self, key: &CacheKey, kind: &str) -> PathBuf {
        let digest = key.digest();
        let folder = Path::new(&key.partition.folder())
            .join(kind)
            .join(&digest[..2]);
        folder.join(digest)
    }

    fn artefact_path(&self, partition: &CachePartition, digest: &str) -> PathBuf {
        let front = digest.get(..2).unwrap_or("00");
        Path::new(&partition.folder())
            .join("artefacts")
            .join(front)
            .join(digest)
    }
}

#[cfg(test)]
mod tests;
