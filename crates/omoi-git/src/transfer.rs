//! Commits between a person's repository and a mirror on another machine: each side packs what the other lacks.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::PathBuf;

use tracing::debug;

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use crate::mirror::{Mirror, UpdateRefError};
use crate::object::ObjectId;
use crate::process::{Git, GitError};
use crate::refname::RefName;
use crate::repo::{RepoInfo, UserRepo};
use crate::work::bundle::bundle_header;

/// Packing a whole history may take a while.
const PACK_SECONDS_MAX: u64 = 1_800;
/// Commits that the other side is told not to send, at most.
pub const HAVE_COMMITS_MAX: usize = 16;

/// What a repository sends of its HEAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadBundle {
    /// Commits that the other side does not have.
    pub n_commits: usize,
    /// A bundle of version 2 that brings HEAD; none where no commit is missing.
    pub bytes: Option<Vec<u8>>,
}

/// Why a mirror could not pack a commit.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file system operation failed.
    #[error("could not write a bundle below `{dir}`")]
    Io {
        /// Folder of the mirror.
        dir: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// Git refused.
    #[error("could not pack the commit")]
    Git(#[from] GitError),
}

impl RepoInfo {
    /// The commits that HEAD had when it was looked at, newest first, `count_max` at most.
    ///
    /// # Errors
    /// When git cannot read them.
    pub async fn newest_commits(
        &self,
        git: &Git,
        count_max: usize,
    ) -> Result<Vec<ObjectId>, GitError> {
        let listed = self
            .open_with(git, "rev-list")?
            .call("rev-list")
            .arg(format!("--max-count={count_max}"))
            .args(["--end-of-options", self.head.as_str()])
            .run()
            .await?;
        let text = listed.stdout_text();
        let ids: Result<Vec<ObjectId>, _> = text.lines().map(ObjectId::parse).collect();
        ids.map_err(|_| listed.unexpected_output("not an object name"))
    }

    /// Whether the repository has the commit `id`.
    ///
    /// # Errors
    /// When git cannot tell.
    pub async fn has_commit(&self, git: &Git, id: &ObjectId) -> Result<bool, GitError> {
        let asked = self
            .open_with(git, "cat-file")?
            .call("cat-file")
            .args(["-e".to_owned(), format!("{id}^{{commit}}")])
            .accept_codes(&[0, 1, 128])
            .run()
            .await?;
        Ok(asked.code == 0)
    }

    /// What HEAD has and a repository with the commits `have` and their histories has not, of `bytes_max` at most.
    ///
    /// # Errors
    /// [`GitError::OutputTooLarge`] where it is more, and when git cannot pack it.
    pub async fn bundle_head(
        &self,
        git: &Git,
        have: &[ObjectId],
        bytes_max: usize,
    ) -> Result<HeadBundle, GitError> {
        let user = self.open_with(git, "rev-list")?;
        let listed = user
            .call("rev-list")
            .args(["--boundary", "--stdin"])
            .stdin_bytes(revisions(&self.head, have).as_bytes())
            .deadline_seconds(PACK_SECONDS_MAX)
            .run()
            .await?;
        // A commit at the boundary is one that the other side has and a missing one builds on.
        let (mut n_commits, mut needed) = (0, Vec::new());
        for line in listed.stdout_text().lines() {
            match line.strip_prefix('-') {
                None => n_commits += 1,
                Some(id) => needed.push(
                    ObjectId::parse(id)
                        .map_err(|_| listed.unexpected_output("not an object name"))?,
                ),
            }
        }
        if n_commits == 0 {
            return Ok(HeadBundle {
                n_commits,
                bytes: None,
            });
        }
        let mut bytes = bundle_header(&self.head, &needed);
        let packed = user
            .call("pack-objects")
            .args(["--quiet", "--revs", "--stdout"])
            .args(["--thin", "--delta-base-offset"])
            .stdin_bytes(revisions(&self.head, &needed).as_bytes())
            .stdout_max(bytes_max.saturating_sub(bytes.len()))
            .deadline_seconds(PACK_SECONDS_MAX)
            .run()
            .await?;
        bytes.extend_from_slice(&packed.stdout);
        debug!(head = %self.head, n_commits, bytes = bytes.len(), "Packed {n_commits} commits to send");
        Ok(HeadBundle {
            n_commits,
            bytes: Some(bytes),
        })
    }

    fn open_with<'a>(
        &'a self,
        git: &'a Git,
        command: &'static str,
    ) -> Result<UserRepo<'a>, GitError> {
        let user = UserRepo::open(git, &self.toplevel);
        user.map_err(|source| GitError::Start { command, source })
    }
}

impl Mirror {
    /// Those of `asked` that are commits of this mirror, by one call, in the order asked.
    ///
    /// # Errors
    /// When git cannot tell.
    pub async fn known_commits(&self, asked: &[ObjectId]) -> Result<Vec<ObjectId>, GitError> {
        let names: String = asked.iter().map(|id| format!("{id}\n")).collect();
        let told = self
            .call("cat-file")
            .arg("--batch-check=%(objecttype) %(objectname)")
            .stdin_bytes(names.as_bytes())
            .run()
            .await?;
        let text = told.stdout_text();
        let ids = text.lines().filter_map(|line| line.strip_prefix("commit "));
        let ids: Result<Vec<ObjectId>, _> = ids.map(ObjectId::parse).collect();
        ids.map_err(|_| told.unexpected_output("not an object name"))
    }

    /// Keeps `commit`, which is here, by the ref `name` that nobody else moves.
    ///
    /// # Errors
    /// [`UpdateRefError`].
    pub async fn hold_commit(
        &self,
        name: &RefName,
        commit: &ObjectId,
    ) -> Result<(), UpdateRefError> {
        crash::pass_point(CrashPoint::RefMoved, CrashSide::Before);
        self.point_ref(name, commit).await?;
        crash::pass_point(CrashPoint::RefMoved, CrashSide::After);
        Ok(())
    }

    /// Whether nothing was ever brought into this mirror.
    ///
    /// # Errors
    /// When git cannot tell.
    pub async fn is_empty(&self) -> Result<bool, GitError> {
        let first = self
            .call("for-each-ref")
            .args(["--count=1", "--format=%(objectname)"])
            .run()
            .await?;
        Ok(first.stdout.is_empty())
    }

    /// A file with a bundle that brings `tip` to whoever has those of `have` that `tip` builds on, to be read from its
    /// begin. It has no name and is gone with its last reader.
    ///
    /// # Errors
    /// [`PackError`].
    pub async fn bundle_commit(
        &self,
        tip: &ObjectId,
        have: &[ObjectId],
    ) -> Result<File, PackError> {
        let mut needed = Vec::new();
        for id in self.known_commits(have).await? {
            // A bundle that brings nothing is none.
            if id != *tip && self.is_ancestor(&id, tip).await? {
                needed.push(id);
            }
        }
        let io = |source| PackError::Io {
            dir: self.dir().to_path_buf(),
            source,
        };
        let scratch = self.scratch_folder().map_err(io)?;
        let mut file = tempfile::tempfile_in(scratch.path()).map_err(io)?;
        let header = bundle_header(tip, &needed);
        file.write_all(&header).map_err(io)?;
        self.call("pack-objects")
            .args(["--quiet", "--revs", "--stdout"])
            .args(["--thin", "--delta-base-offset"])
            .stdin_bytes(revisions(tip, &needed).as_bytes())
            .stdout_file(file.try_clone().map_err(io)?)
            .deadline_seconds(PACK_SECONDS_MAX)
            .run()
            .await?;
        file.rewind().map_err(io)?;
        Ok(file)
    }
}

/// Asks git for the history of `tip` without those of `needed`.
fn revisions(tip: &ObjectId, needed: &[ObjectId]) -> String {
    let without = needed.iter().map(|id| format!("^{id}\n"));
    std::iter::once(format!("{tip}\n")).chain(without).collect()
}
