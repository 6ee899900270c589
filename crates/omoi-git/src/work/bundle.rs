//! Packing commits into a bundle, the form in which a sandbox sends them to the platform.

use super::{ADD_SECONDS_MAX, WorkDir, WorkError};
use crate::object::{ObjectId, RepoPath};
use crate::process::GitError;

/// Largest files that an error names.
const LARGEST_FILES_NAMED: usize = 5;
/// The ref under which a bundle carries its tip.
const OUT_REF: &str = "refs/omoios/out/tip";

impl WorkDir {
    /// Everything `tip` has and `exclude` has not, as one file; none when that is nothing.
    pub async fn make_bundle(
        &self,
        tip: &ObjectId,
        exclude: &[ObjectId],
    ) -> Result<Option<Vec<u8>>, WorkError> {
        let not = exclude.iter().map(|id| format!("^{id}"));
        let count = self
            .call("rev-list")
            .args(["--count", "--max-count=1", "--end-of-options", tip.as_str()])
            .args(not.clone())
            .run()
            .await?;
        if count.stdout_text() == "0" {
            return Ok(None);
        }
        self.call("update-ref")
            .args(["--no-deref", "--", OUT_REF, tip.as_str()])
            .run()
            .await?;
        let out = self
            .call("bundle")
            .args(["create", "--quiet", "--version=2", "-", OUT_REF])
            .args(not)
            .stdout_max(self.bundle_bytes_max)
            .deadline_seconds(ADD_SECONDS_MAX)
            .run()
            .await;
        match out {
            Ok(out) => Ok(Some(out.stdout)),
            Err(GitError::OutputTooLarge { .. }) => Err(WorkError::TooLarge {
                bytes_max: self.bundle_bytes_max,
                files: self.largest_files(tip, exclude).await?,
            }),
            Err(other) => Err(other.into()),
        }
    }

    /// Names the largest files of `tip` that differ from the first of `exclude`, with their sizes.
    async fn largest_files(
        &self,
        tip: &ObjectId,
        exclude: &[ObjectId],
    ) -> Result<String, WorkError> {
        let changed = match exclude.first() {
            Some(base) => {
                self.call("diff-tree")
                    .args(["-r", "--name-only", "--no-renames", "--diff-filter=d", "-z"])
                    .args([base.as_str(), tip.as_str()])
                    .run()
                    .await?
            }
            None => {
                self.call("ls-tree")
                    .args(["-r", "--name-only", "--full-tree", "-z", tip.as_str()])
                    .run()
                    .await?
            }
        };
        let size_of = |path: RepoPath| {
            let bytes = std::fs::symlink_metadata(self.dir.join(path.as_path()));
            (bytes.map_or(0, |meta| meta.len()), path)
        };
        let mut files: Vec<_> = changed
            .nul_records()
            .map(|path| size_of(RepoPath::from_git(path)))
            .collect();
        files.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let named = files.iter().take(LARGEST_FILES_NAMED);
        let named: Vec<String> = named
            .map(|(bytes, path)| format!("{path} ({bytes} bytes)"))
            .collect();
        Ok(named.join(", "))
    }
}
