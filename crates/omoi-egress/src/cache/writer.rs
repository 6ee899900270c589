//! A file on its way into the cache.

use std::io;
use std::path::Path;

use aws_lc_rs::digest;
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use crate::go_sum::{sum_archive, sum_go_mod};
use crate::package::{ArtefactSum, SumAlgorithm};

/// Writes a file under no name yet; it is removed unless it is kept.
pub struct ArtefactWriter {
    file: File,
    path: TempPath,
    bytes: u64,
    content: digest::Context,
    sum: Option<(SumAlgorithm, digest::Context)>,
}

impl ArtefactWriter {
    pub(super) fn begin(folder: &Path) -> io::Result<Self> {
        let (file, path) = tempfile::NamedTempFile::new_in(folder)?.into_parts();
        Ok(Self {
            file: File::from_std(file),
            path,
            bytes: 0,
            content: digest::Context::new(&digest::SHA256),
            sum: None,
        })
    }

    /// Sums the bytes up with `algorithm` too.
    #[must_use]
    pub fn with_sum(mut self, algorithm: SumAlgorithm) -> Self {
        let context = digest::Context::new(algorithm.digest_algorithm());
        self.sum = Some((algorithm, context));
        self
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.content.update(bytes);
        if let Some((_, context)) = &mut self.sum {
            context.update(bytes);
        }
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).await
    }

    /// The file, opened for reading what was written; it stays readable when the file is kept or removed.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_written(&self) -> io::Result<std::fs::File> {
        std::fs::File::open(&self.path)
    }

    /// Lets others read what was written.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub async fn flush_written(&mut self) -> io::Result<()> {
        self.file.flush().await
    }

    /// Bytes so far.
    pub fn written_bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of what was written, in hexadecimal digits.
    pub fn content_digest(&self) -> String {
        hex::encode(self.content.clone().finish())
    }

    /// Whether what was written sums up to `expected`.
    ///
    /// # Errors
    /// When the file must be read again for that, and cannot be.
    pub async fn meets_sum(&mut self, expected: &ArtefactSum) -> io::Result<bool> {
        match expected.algorithm {
            SumAlgorithm::Sha1 | SumAlgorithm::Sha256 | SumAlgorithm::Sha512 => {
                Ok(self.meets_digest(expected))
            }
            SumAlgorithm::GoMod => Ok(expected.is_met_by(&sum_go_mod(&self.content_digest()))),
            SumAlgorithm::GoZip => {
                self.file.flush().await?;
                let path = self.path.to_path_buf();
                let summed = tokio::task::spawn_blocking(move || sum_archive(&path)).await;
                // What is no archive at all is not the one that was asked for.
                let digest = summed.map_err(io::Error::other)?;
                Ok(digest.is_ok_and(|digest| expected.is_met_by(&digest)))
            }
        }
    }

    fn meets_digest(&self, expected: &ArtefactSum) -> bool {
        self.sum.as_ref().is_some_and(|(algorithm, context)| {
            *algorithm == expected.algorithm
                && expected.is_met_by(context.clone().finish().as_ref())
        })
    }

    /// Gives the file its name once its bytes are on the disk.
    pub(super) async fn keep_as(mut self, target: &Path) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_data().await?;
        self.path.persist(target).map_err(|error| error.error)
    }
}
