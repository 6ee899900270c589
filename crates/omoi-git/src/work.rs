//! Operations of the worker on its own clone, inside the sandbox.
//!
//! These calls run git inside a folder an agent can write. Only the worker may make them, under the
//! agent's own confinement; the platform sees nothing but the bundles they yield. The exceptions
//! are [`WorkDir::begin_merge`] and [`WorkDir::restore_snapshot`] on a clone no agent has seen yet.

pub(crate) mod bundle;
mod head;
mod snapshot;

use std::io;
use std::path::{Path, PathBuf};

pub use snapshot::{SavedState, WorkSnapshot, WorkState};

use crate::mirror::CommitMeta;
use crate::object::{ObjectId, RepoPath};
use crate::process::{CallTarget, Git, GitCall, GitError, write_private};

/// The longest bundle made or taken.
pub const BUNDLE_BYTES_MAX: usize = 256 << 20;

const ADD_SECONDS_MAX: u64 = 300;

/// What the system says when a disk is full.
const NO_SPACE: &str = "No space left on device";

/// Why an operation on a work tree failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// A file system operation failed.
    #[error("could not use `{path}`")]
    Io {
        /// File that could not be used.
        path: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// There is nothing to merge.
    #[error("`{theirs}` is merged already")]
    NothingToMerge {
        /// Commit that was to be merged.
        theirs: ObjectId,
    },
    /// The changes are longer than one bundle may be.
    #[error("the changes are more than {bytes_max} bytes in all; the largest files: {files}")]
    TooLarge {
        /// Longest bundle that may be made.
        bytes_max: usize,
        /// The largest changed files with their sizes, for people.
        files: String,
    },
    /// A git command failed in the clone.
    #[error("git failed in the work tree")]
    Git(#[from] GitError),
}

impl WorkError {
    /// Whether what the agent left in the work tree can be the reason: damaged repository data,
    /// a broken configuration file, too much. A full disk or a missing program is not.
    pub fn is_due_to_files(&self) -> bool {
        match self {
            Self::TooLarge { .. } => true,
            Self::Git(GitError::Failed { message, .. }) => !message.contains(NO_SPACE),
            Self::Git(GitError::Deadline { .. } | GitError::Unexpected { .. }) => true,
            Self::Git(_) | Self::Io { .. } | Self::NothingToMerge { .. } => false,
        }
    }
}

/// The commit that [`WorkDir::commit_all`] made, if any.
#[derive(Clone, Debug)]
pub struct CommitOutcome {
    /// Commit that `HEAD` names afterwards.
    pub head: ObjectId,
    /// Whether a commit was made; false when there was nothing to commit.
    pub made: bool,
    /// Message of git about files it left out; empty when none was.
    pub left_out: String,
}

/// A clone's work tree.
#[derive(Clone, Debug)]
pub struct WorkDir {
    git: Git,
    dir: PathBuf,
    bundle_bytes_max: usize,
}

impl WorkDir {
    /// The clone at `dir`.
    pub fn new(git: &Git, dir: &Path) -> Self {
        Self {
            git: git.clone(),
            dir: dir.to_path_buf(),
            bundle_bytes_max: BUNDLE_BYTES_MAX,
        }
    }

    /// Makes no bundle longer than `bytes`.
    pub fn with_bundle_bytes_max(mut self, bytes: usize) -> Self {
        self.bundle_bytes_max = bytes;
        self
    }

    /// Brings the index in line with files that have not changed but look it, as all do after the
    /// clone was given to another account. Saves every later call from reading each file.
    pub async fn refresh_index(&self) -> Result<(), WorkError> {
        self.call("update-index")
            .args(["-q", "--refresh"])
            .accept_codes(&[0, 1])
            .deadline_seconds(ADD_SECONDS_MAX)
            .run()
            .await?;
        Ok(())
    }

    /// Makes everything below `paths` what it is in `base` again, in index and files; returns what
    /// differed. Ignored files are left alone.
    pub async fn restore_paths(
        &self,
        base: &ObjectId,
        paths: &[String],
    ) -> Result<Vec<RepoPath>, WorkError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let specs: Vec<String> = paths.iter().map(|p| format!(":(literal,top){p}")).collect();
        let (tree, _) = self.tree_of_files().await?;
        let out = self
            .call("diff-tree")
            .args(["-r", "--name-only", "--no-renames", "-z"])
            .args([base.as_str(), tree.as_str(), "--"])
            .args(&specs)
            .run()
            .await?;
        let changed: Vec<RepoPath> = out.nul_records().map(RepoPath::from_git).collect();
        if changed.is_empty() {
            return Ok(changed);
        }
        let _ = std::fs::remove_file(self.dir.join(".git/index.lock"));
        // Staged first, so that files the base does not know are removed with the rest.
        self.add_all(None).await?;
        self.call("restore")
            .args([
                "--quiet",
                "--staged",
                "--worktree",
                "--source",
                base.as_str(),
                "--",
            ])
            .args(changed.iter().map(|path| {
                let mut spec = std::ffi::OsString::from(":(literal,top)");
                spec.push(path.as_path());
                spec
            }))
            .run()
            .await?;
        Ok(changed)
    }

    /// Commits every change on the current branch; concludes a merge that was begun.
    ///
    /// The agent has stopped by then, so a lock on the index belongs to a command that was killed.
    pub async fn commit_all(&self, meta: &CommitMeta) -> Result<CommitOutcome, WorkError> {
        let _ = std::fs::remove_file(self.dir.join(".git/index.lock"));
        let added = self.add_all(None).await?;
        let merging = self.merge_head().await?;
        let staged = self
            .call("diff")
            .args(["--cached", "--quiet", "--no-ext-diff", "--no-textconv"])
            .accept_codes(&[0, 1])
            .run()
            .await?;
        let made = merging.is_some() || staged.code == 1;
        if made {
            let text = meta.full_message();
            let call = self
                .call("commit")
                .args(["--quiet", "--no-verify", "--cleanup=verbatim", "-F", "-"])
                .stdin_bytes(text.as_bytes());
            meta.author.sign_call(call, meta.time).run().await?;
        }
        let head = self.commit_named("HEAD").await?;
        let head = head.ok_or_else(|| staged.unexpected_output("no commit afterwards"))?;
        Ok(CommitOutcome {
            head,
            made,
            left_out: added,
        })
    }

    /// New files that the ignore rules hide, `count_max` at most; a folder of nothing else is named
    /// as one.
    pub async fn ignored_files(&self, count_max: usize) -> Result<Vec<RepoPath>, WorkError> {
        let out = self
            .call("ls-files")
            .args(["--others", "--ignored", "--exclude-standard"])
            .args(["--directory", "-z"])
            .run()
            .await?;
        Ok(out
            .nul_records()
            .take(count_max)
            .map(RepoPath::from_git)
            .collect())
    }

    /// Begins merging `theirs` and stops before the commit; returns the paths in conflict, whose
    /// files hold markers. The next [`commit_all`](Self::commit_all) has both parents.
    pub async fn begin_merge(&self, theirs: &ObjectId) -> Result<Vec<RepoPath>, WorkError> {
        self.call("merge")
            .args([
                "--no-commit",
                "--no-ff",
                "--quiet",
                "--no-stat",
                theirs.as_str(),
            ])
            .accept_codes(&[0, 1])
            .deadline_seconds(ADD_SECONDS_MAX)
            .run()
            .await?;
        if self.merge_head().await?.is_none() {
            return Err(WorkError::NothingToMerge {
                theirs: theirs.clone(),
            });
        }
        let out = self
            .call("diff")
            .args(["--name-only", "--diff-filter=U", "-z", "--no-ext-diff"])
            .run()
            .await?;
        Ok(out.nul_records().map(RepoPath::from_git).collect())
    }

    /// Writes the files as a tree through an index of our own, seeded from the clone's so that
    /// unchanged files are not read again; a seed that git refuses is done without.
    async fn tree_of_files(&self) -> Result<(ObjectId, String), WorkError> {
        let seed = self.dir.join(".git/index");
        let index = self.dir.join(".git/omoi-index");
        let _ = std::fs::remove_file(self.dir.join(".git/omoi-index.lock"));
        let seeded = std::fs::copy(&seed, &index).is_ok();
        let mut added = self.add_all(Some(&index)).await;
        if added.is_err() && seeded {
            let _ = std::fs::remove_file(&index);
            added = self.add_all(Some(&index)).await;
        }
        let left_out = added?;
        let out = self
            .call("write-tree")
            .env("GIT_INDEX_FILE", &index)
            .run()
            .await?;
        let tree = ObjectId::parse(&out.stdout_text())
            .map_err(|_| out.unexpected_output("not an object name"))?;
        Ok((tree, left_out))
    }

    /// Stages everything; a file that cannot be read does not stop the others.
    async fn add_all(&self, index: Option<&Path>) -> Result<String, GitError> {
        let mut call = self
            .call("add")
            .args(["--all", "--ignore-errors", "--", "."])
            .config("advice.addEmbeddedRepo", "false")
            .accept_codes(&[0, 1])
            .deadline_seconds(ADD_SECONDS_MAX);
        if let Some(index) = index {
            call = call.env("GIT_INDEX_FILE", index);
        }
        let out = call.run().await?;
        if out.code != 0 {
            return Ok(out.stderr);
        }
        // A repository inside the repository goes in as a commit's name, without its files.
        let embedded = |line: &&str| line.contains("embedded git repository");
        let lines: Vec<&str> = out.stderr.lines().filter(embedded).collect();
        Ok(lines.join("\n"))
    }

    async fn tree_of(&self, commit: &ObjectId) -> Result<ObjectId, GitError> {
        let out = self
            .call("rev-parse")
            .args([
                "--verify",
                "--end-of-options",
                &format!("{commit}^{{tree}}"),
            ])
            .run()
            .await?;
        ObjectId::parse(&out.stdout_text()).map_err(|_| out.unexpected_output("not an object name"))
    }

    async fn commit_named(&self, name: &str) -> Result<Option<ObjectId>, GitError> {
        let out = self
            .call("rev-parse")
            .args(["--verify", "--quiet", "--end-of-options"])
            .arg(format!("{name}^{{commit}}"))
            .accept_codes(&[0, 1])
            .run()
            .await?;
        Ok(ObjectId::parse(&out.stdout_text()).ok())
    }

    fn write_git_file(&self, name: &str, text: &str) -> Result<(), WorkError> {
        let path = self.dir.join(".git").join(name);
        write_private(&path, text.as_bytes()).map_err(|source| WorkError::Io { path, source })
    }

    fn call<'a>(&'a self, command: &'static str) -> GitCall<'a> {
        self.git.call(command, CallTarget::Work(&self.dir))
    }
}
