//! Packing commits into a bundle, the form in which a sandbox sends them to the platform.

use super::{ADD_SECONDS_MAX, WorkDir, WorkError};
use crate::object::{ObjectId, RepoPath};
use crate::process::GitError;

/// Largest files that an error names.
const LARGEST_FILES_NAMED: usize = 5;
/// The ref under which a bundle carries its tip.
const OUT_REF: &str = "refs/omoios/out/tip";

/// The lines before the pack: what the receiver must have, and what it gets.
pub(crate) fn bundle_header(tip: &ObjectId, needed: &[ObjectId]) -> Vec<u8> {
    let needed: String = needed.iter().map(|id| format!("-{id}\n")).collect();
    format!("# v2 git bundle\n{needed}{tip} {OUT_REF}\n\n").into_bytes()
}

/// How many objects a pack says it has.
fn n_objects(pack: &[u8]) -> Option<u32> {
    let count = pack.strip_prefix(b"PACK")?.get(4..8)?;
    Some(u32::from_be_bytes(count.try_into().ok()?))
}

impl WorkDir {
    /// Everything `tip` has and `exclude` has not, as one file; none when that is nothing.
    ///
    /// The receiver needs every commit of `exclude`.
    pub async fn make_bundle(
        &self,
        tip: &ObjectId,
        exclude: &[ObjectId],
    ) -> Result<Option<Vec<u8>>, WorkError> {
        if exclude.contains(tip) {
            return Ok(None);
        }
        let mut bundle = bundle_header(tip, exclude);
        let revisions: String = std::iter::once(format!("{tip}\n"))
            .chain(exclude.iter().map(|id| format!("^{id}\n")))
            .collect();
        let out = self
            .call("pack-objects")
            .args(["--quiet", "--revs", "--stdout"])
            .args(["--thin", "--delta-base-offset"])
            .stdin_bytes(revisions.as_bytes())
            .stdout_max(self.bundle_bytes_max.saturating_sub(bundle.len()))
            .deadline_seconds(ADD_SECONDS_MAX)
            .run()
            .await;
        match out {
            Ok(out) if n_objects(&out.stdout) == Some(0) => Ok(None),
            Ok(out) => {
                bundle.extend_from_slice(&out.stdout);
                Ok(Some(bundle))
            }
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
