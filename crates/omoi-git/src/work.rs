//! What the worker does to its own clone, inside the sandbox.
//!
//! These calls run git inside a folder an agent can write. Only the worker may make them, under the
//! agent's own confinement; the platform sees nothing but the bundles they yield. The exceptions
//! are [`WorkDir::begin_merge`] and [`WorkDir::restore_snapshot`] on a clone no agent has seen yet.

use std::io;
use std::path::{Path, PathBuf};

use omoi_domain::time::Timestamp;

use crate::mirror::{CommitMeta, Identity};
use crate::object::{ObjectId, RepoPath};
use crate::process::{Call, Git, GitError, Place, write_private};

/// The longest bundle made or taken.
pub const BUNDLE_BYTES_MAX: usize = 256 << 20;

const ADD_SECONDS_MAX: u64 = 300;
/// Largest files that an error names.
const LARGEST_FILES_NAMED: usize = 5;
/// What the system says when a disk is full.
const NO_SPACE: &str = "No space left on device";
const OUT_REF: &str = "refs/omoios/out/tip";

/// Why an operation on a work tree failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The file system refused.
    #[error("could not use `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is nothing to merge.
    #[error("`{theirs}` is merged already")]
    NothingToMerge {
        /// The commit.
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
    /// Git refused.
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

/// The state of a work tree as a commit that no branch knows.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The commit: parent is `HEAD`, second parent the commit being merged, if any.
    pub commit: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// The objects the mirror lacks.
    pub bundle: Vec<u8>,
    /// What git could not take along, such as unreadable files; empty when all went in.
    pub left_out: String,
}

/// What [`WorkDir::commit_all`] did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// `HEAD` afterwards.
    pub head: ObjectId,
    /// Whether a commit was made; false when there was nothing to commit.
    pub made: bool,
    /// What git could not take along; empty when all went in.
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
    pub async fn refresh(&self) -> Result<(), WorkError> {
        self.call("update-index")
            .args(["-q", "--refresh"])
            .accept(&[0, 1])
            .deadline(ADD_SECONDS_MAX)
            .run()
            .await?;
        Ok(())
    }

    /// The commit that is checked out; none on a branch without commits.
    pub async fn head(&self) -> Result<Option<ObjectId>, WorkError> {
        Ok(self.commit_named("HEAD").await?)
    }

    /// Saves everything that differs from `base`, committed or not, leaving branch, index and files
    /// alone; none when nothing differs. Ignored files are not part of it.
    pub async fn snapshot(
        &self,
        base: &ObjectId,
        time: Timestamp,
    ) -> Result<Option<Snapshot>, WorkError> {
        let head = self.commit_named("HEAD").await?;
        let merging = self.commit_named("MERGE_HEAD").await?;
        let snapshot = self.snapshot_always(base, time).await?;
        let clean = head.is_none_or(|head| head == *base) && merging.is_none();
        let clean = clean && snapshot.tree == self.tree_of(base).await?;
        Ok((!clean).then_some(snapshot))
    }

    /// As [`snapshot`](Self::snapshot), but also when nothing differs: the state after work was undone.
    pub async fn snapshot_always(
        &self,
        base: &ObjectId,
        time: Timestamp,
    ) -> Result<Snapshot, WorkError> {
        let (tree, left_out) = self.tree_of_files().await?;
        let head = self.commit_named("HEAD").await?;
        let merging = self.commit_named("MERGE_HEAD").await?;
        let head = head.unwrap_or_else(|| base.clone());
        let call = self
            .call("commit-tree")
            .args(["-p", head.as_str(), "-F", "-"])
            .input(b"Snapshot of unfinished work\n");
        let call = merging.iter().fold(call, |call, p| call.arg("-p").arg(p));
        let out = Identity::platform()
            .sign(call.arg(&tree), time)
            .run()
            .await?;
        let commit =
            ObjectId::parse(&out.text()).map_err(|_| out.unexpected("not an object name"))?;
        let mut known = vec![base.clone()];
        known.extend(merging);
        let bundle = self.bundle(&commit, &known).await?.unwrap_or_default();
        Ok(Snapshot {
            commit,
            tree,
            bundle,
            left_out,
        })
    }

    /// Makes everything below `paths` what it is in `base` again, in index and files; returns what
    /// differed. Ignored files are left alone.
    pub async fn put_back(
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
        let changed: Vec<RepoPath> = out.records().map(RepoPath::from_git).collect();
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
    pub async fn commit_all(&self, meta: &CommitMeta) -> Result<Committed, WorkError> {
        let _ = std::fs::remove_file(self.dir.join(".git/index.lock"));
        let added = self.add_all(None).await?;
        let merging = self.commit_named("MERGE_HEAD").await?;
        let staged = self
            .call("diff")
            .args(["--cached", "--quiet", "--no-ext-diff", "--no-textconv"])
            .accept(&[0, 1])
            .run()
            .await?;
        let made = merging.is_some() || staged.code == 1;
        if made {
            let text = meta.text();
            let call = self
                .call("commit")
                .args(["--quiet", "--no-verify", "--cleanup=verbatim", "-F", "-"])
                .input(text.as_bytes());
            meta.author.sign(call, meta.time).run().await?;
        }
        let head = self.commit_named("HEAD").await?;
        let head = head.ok_or_else(|| staged.unexpected("no commit afterwards"))?;
        Ok(Committed {
            head,
            made,
            left_out: added,
        })
    }

    /// Everything `tip` has and `exclude` has not, as one file; none when that is nothing.
    pub async fn bundle(
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
        if count.text() == "0" {
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
            .deadline(ADD_SECONDS_MAX)
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
            .records()
            .take(count_max)
            .map(RepoPath::from_git)
            .collect())
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
            .records()
            .map(|path| size_of(RepoPath::from_git(path)))
            .collect();
        files.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let named = files.iter().take(LARGEST_FILES_NAMED);
        let named: Vec<String> = named
            .map(|(bytes, path)| format!("{path} ({bytes} bytes)"))
            .collect();
        Ok(named.join(", "))
    }

    /// Puts a fresh clone where the snapshot was taken: its commits on the branch, the rest as
    /// uncommitted changes, a begun merge begun again.
    pub async fn restore_snapshot(&self, snapshot: &ObjectId) -> Result<(), WorkError> {
        let out = self
            .call("rev-list")
            .args(["--parents", "--max-count=1", "--end-of-options"])
            .arg(snapshot)
            .run()
            .await?;
        let text = out.text();
        let parents: Result<Vec<_>, _> = text.split(' ').skip(1).map(ObjectId::parse).collect();
        let parents = parents.map_err(|_| out.unexpected("not an object name"))?;
        let head = parents.first();
        let head = head.ok_or_else(|| out.unexpected("a snapshot without parent"))?;
        for (mode, commit) in [("--hard", snapshot), ("--mixed", head)] {
            self.call("reset")
                .args(["--quiet", mode, commit.as_str(), "--"])
                .deadline(ADD_SECONDS_MAX)
                .run()
                .await?;
        }
        if let Some(theirs) = parents.get(1) {
            self.write_git_file("MERGE_HEAD", &format!("{theirs}\n"))?;
            self.write_git_file("MERGE_MODE", "")?;
            self.write_git_file("MERGE_MSG", &format!("Merge {theirs}\n"))?;
        }
        Ok(())
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
            .accept(&[0, 1])
            .deadline(ADD_SECONDS_MAX)
            .run()
            .await?;
        if self.commit_named("MERGE_HEAD").await?.is_none() {
            return Err(WorkError::NothingToMerge {
                theirs: theirs.clone(),
            });
        }
        let out = self
            .call("diff")
            .args(["--name-only", "--diff-filter=U", "-z", "--no-ext-diff"])
            .run()
            .await?;
        Ok(out.records().map(RepoPath::from_git).collect())
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
        let tree =
            ObjectId::parse(&out.text()).map_err(|_| out.unexpected("not an object name"))?;
        Ok((tree, left_out))
    }

    /// Stages everything; a file that cannot be read does not stop the others.
    async fn add_all(&self, index: Option<&Path>) -> Result<String, GitError> {
        let mut call = self
            .call("add")
            .args(["--all", "--ignore-errors", "--", "."])
            .config("advice.addEmbeddedRepo", "false")
            .accept(&[0, 1])
            .deadline(ADD_SECONDS_MAX);
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
        ObjectId::parse(&out.text()).map_err(|_| out.unexpected("not an object name"))
    }

    async fn commit_named(&self, name: &str) -> Result<Option<ObjectId>, GitError> {
        let out = self
            .call("rev-parse")
            .args(["--verify", "--quiet", "--end-of-options"])
            .arg(format!("{name}^{{commit}}"))
            .accept(&[0, 1])
            .run()
            .await?;
        Ok(ObjectId::parse(&out.text()).ok())
    }

    fn write_git_file(&self, name: &str, text: &str) -> Result<(), WorkError> {
        let path = self.dir.join(".git").join(name);
        write_private(&path, text.as_bytes()).map_err(|source| WorkError::Io { path, source })
    }

    fn call<'a>(&'a self, command: &'static str) -> Call<'a> {
        self.git.call(command, Place::Work(&self.dir))
    }
}
