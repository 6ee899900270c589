//! A project's bare mirror: the only repository the platform works in.

mod base_store;
mod head;
mod markers;
mod merge;
mod new_commits;
mod read;
mod ref_removal;
mod refs;
mod taken_sides;
mod tree_diff;
mod upkeep;
mod write;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{debug, info};

use omoi_domain::crash::{self, CrashPoint, CrashSide};
use tempfile::TempDir;

pub(crate) use base_store::PACK_ARGUMENTS;
pub(crate) use base_store::off_thread;
pub use base_store::{BaseStore, BaseStoreError, base_stores};
pub use merge::{ConflictedPath, MergeTree, SCORE_ERROR, conflict_score};
pub use new_commits::{CommitObject, PatchText};
pub(crate) use read::LIST_BYTES_MAX;
pub use read::{ChangeKind, EntryKind, FileEntry, LogEntry, PathChange};
pub use ref_removal::{KeptRefs, RefRemoval};
pub use refs::UpdateRefError;
pub use taken_sides::MergedCommits;
pub use tree_diff::FileDiff;
pub use write::{CommitMeta, FileChange, Identity};

use crate::object::ObjectId;
use crate::process::{CallTarget, Git, GitCall, GitError, write_private};
use crate::refname::RefName;
use crate::repo::{RepoInfo, UserRepo};

/// Copying a whole history may take a while.
const FETCH_SECONDS_MAX: u64 = 1_800;

/// Settings every mirror is made with. Objects and refs reach the disk before a call returns; a
/// lock left behind by a dead process is waited for, not failed on at once.
const SETTINGS: &str = "\
[transfer]
\tfsckObjects = true
[fetch]
\tfsckObjects = true
[receive]
\tfsckObjects = true
[gc]
\tauto = 0
[core]
\tlogAllRefUpdates = false
\tfsync = committed,reference
\tfsyncMethod = batch
\tfilesRefLockTimeout = 2000
\tpackedRefsTimeout = 2000
[merge]
\tconflictStyle = zdiff3
";

/// Flaws that old but honest histories carry and that harm nobody. Accepted from the user's own
/// repository only; what agents send is held to the full rules.
pub(crate) const OLD_FLAWS: [&str; 9] = [
    "fetch.fsck.badDate",
    "fetch.fsck.badEmail",
    "fetch.fsck.badName",
    "fetch.fsck.badTimezone",
    "fetch.fsck.missingEmail",
    "fetch.fsck.missingNameBeforeEmail",
    "fetch.fsck.missingSpaceBeforeDate",
    "fetch.fsck.missingSpaceBeforeEmail",
    "fetch.fsck.zeroPaddedFilemode",
];

/// A bare repository owned by the platform; cheap to clone.
#[derive(Clone, Debug)]
pub struct Mirror {
    git: Git,
    dir: PathBuf,
}

/// Why a mirror could not be opened, made or filled.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// A file system operation failed.
    #[error("could not prepare the mirror at `{dir}`")]
    Io {
        /// Folder of the bare repository.
        dir: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// A git command in the mirror failed.
    #[error("could not bring the mirror up to date")]
    Git(#[from] GitError),
    /// A ref of the mirror could not be pointed at what arrived.
    #[error("could not record what was fetched")]
    Ref(#[from] UpdateRefError),
}

/// One commit to copy and the mirror's ref that holds on to it.
#[derive(Clone, Debug)]
pub struct FetchRef {
    /// A commit of the user's repository.
    pub commit: ObjectId,
    /// The ref of the mirror that will name it.
    pub target: RefName,
}

impl Mirror {
    /// Opens the mirror at `dir`, making it first if nothing is there.
    ///
    /// A new one appears by a rename when it is complete, so a crash leaves none or a whole one.
    pub async fn open_or_create(git: &Git, dir: &Path) -> Result<Self, MirrorError> {
        let io = |source| MirrorError::Io {
            dir: dir.to_path_buf(),
            source,
        };
        let dir = std::path::absolute(dir).map_err(io)?;
        if !dir.join("HEAD").is_file() {
            let parent = dir.parent().unwrap_or(Path::new("/"));
            std::fs::create_dir_all(parent).map_err(io)?;
            let fresh = TempDir::with_prefix_in(".mirror-", parent).map_err(io)?;
            git.call("init", CallTarget::Nowhere)
                .args(["--bare", "--quiet", "--shared=0644", "--template="])
                .args(["--object-format=sha1", "--initial-branch=main", "--"])
                .arg(fresh.path())
                .run()
                .await?;
            std::fs::create_dir(fresh.path().join(SCRATCH)).map_err(io)?;
            let mut config = File::options()
                .append(true)
                .open(fresh.path().join("config"))
                .map_err(io)?;
            config.write_all(SETTINGS.as_bytes()).map_err(io)?;
            config.sync_all().map_err(io)?;
            crash::pass_point(CrashPoint::FileReplaced, CrashSide::Before);
            match std::fs::rename(fresh.path(), &dir) {
                // It has a new name, so there is nothing to clean up under the old one.
                Ok(()) => drop(fresh.keep()),
                // Another process was faster.
                Err(_) if dir.join("HEAD").is_file() => {}
                Err(e) => return Err(io(e)),
            }
            crash::pass_point(CrashPoint::FileReplaced, CrashSide::After);
            info!(mirror = %dir.display(), "Made the mirror `{}`", dir.display());
        }
        let mirror = Self {
            git: git.clone(),
            dir,
        };
        mirror.remove_leftovers();
        Ok(mirror)
    }

    /// Folder of the bare repository, as an absolute path.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every object of every spec and attempt. Shown to no sandbox: see [`BaseStore`].
    pub(crate) fn objects_dir(&self) -> PathBuf {
        self.dir.join("objects")
    }

    /// The object store as git takes it in `GIT_ALTERNATE_OBJECT_DIRECTORIES`.
    pub(crate) fn objects_as_alternate(&self) -> OsString {
        OsString::from_vec(quote_path(&self.objects_dir()))
    }

    /// The git program this mirror works with.
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// Copies `wants` with their whole history from the user's repository and names them.
    ///
    /// Nothing is copied twice and nothing is written there; run again after a crash it does what
    /// is left.
    pub async fn fetch_from(&self, repo: &RepoInfo, wants: &[FetchRef]) -> Result<(), MirrorError> {
        crash::pass_point(CrashPoint::MirrorFetched, CrashSide::Before);
        let mut missing = Vec::new();
        for want in wants {
            if !self.has_commit(&want.commit).await? {
                missing.push(&want.commit);
            }
        }
        if !missing.is_empty() {
            self.copy_history(repo, &missing).await?;
            let n_fetched = missing.len();
            info!(repo = %repo.toplevel.display(), n_fetched, "Fetched from `{}`", repo.toplevel.display());
        }
        for want in wants {
            self.point_ref(&want.target, &want.commit).await?;
        }
        crash::pass_point(CrashPoint::MirrorFetched, CrashSide::After);
        Ok(())
    }

    async fn copy_history(
        &self,
        repo: &RepoInfo,
        commits: &[&ObjectId],
    ) -> Result<(), MirrorError> {
        let io = |source| MirrorError::Io {
            dir: self.dir.clone(),
            source,
        };
        let mut call = self
            .call("fetch")
            .args([
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--update-shallow",
            ])
            .args(["--no-auto-maintenance", "--recurse-submodules=no", "--"])
            .arg(&repo.git_dir)
            .args(commits)
            .deadline_seconds(FETCH_SECONDS_MAX);
        for flaw in OLD_FLAWS {
            call = call.config(flaw, "ignore");
        }
        // The far side of a local fetch gets no configuration but from files.
        let scratch = self.scratch_folder().map_err(io)?;
        let user = UserRepo::open(&self.git, &repo.git_dir).map_err(io)?;
        if user.is_foreign() {
            let file = scratch.path().join("gitconfig");
            write_private(&file, &trust_config(&[&repo.git_dir, &repo.toplevel])).map_err(io)?;
            call = call.env("GIT_CONFIG_GLOBAL", &file);
        }
        call.run().await?;
        Ok(())
    }

    pub(crate) fn call<'a>(&'a self, command: &'static str) -> GitCall<'a> {
        self.git.call(command, CallTarget::Bare(&self.dir))
    }

    /// A private folder for one operation, on the mirror's own file system.
    pub(crate) fn scratch_folder(&self) -> io::Result<TempDir> {
        let place = self.dir.join(SCRATCH);
        std::fs::create_dir_all(&place)?;
        TempDir::new_in(place)
    }

    /// Removes what processes that died more than a day ago left behind: scratch folders and packs
    /// half received. What is new tells the time: file systems keep their own.
    fn remove_leftovers(&self) {
        const DAY: Duration = Duration::from_hours(24);
        let modified = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified());
        let Ok(fresh) = self.scratch_folder() else {
            return;
        };
        let Ok(now) = modified(fresh.path()) else {
            return;
        };
        let packs = std::fs::read_dir(self.dir.join("objects/pack"));
        let packs = packs.into_iter().flatten().flatten();
        let partial = packs.filter(|e| e.file_name().as_encoded_bytes().starts_with(b"tmp_"));
        let scratch = std::fs::read_dir(self.dir.join(SCRATCH));
        for entry in scratch.into_iter().flatten().flatten().chain(partial) {
            let path = entry.path();
            let age = modified(&path).map(|at| now.duration_since(at));
            if age.is_ok_and(|age| age.is_ok_and(|age| age > DAY)) {
                let gone = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
                debug!(path = %path.display(), removed = gone.is_ok(), "Found what a dead process left");
            }
        }
    }
}

const SCRATCH: &str = "omoi-scratch";

/// A configuration file that lets git read exactly these folders though others own them.
fn trust_config(dirs: &[&Path]) -> Vec<u8> {
    let mut text = b"[safe]\n".to_vec();
    for dir in dirs {
        text.extend_from_slice(b"\tdirectory = ");
        text.extend_from_slice(&quote_path(dir));
        text.push(b'\n');
    }
    text
}

/// `path` between quotation marks, as git reads it in a configuration file and in the list of
/// alternate object stores.
fn quote_path(path: &Path) -> Vec<u8> {
    let mut text = b"\"".to_vec();
    for b in path.as_os_str().as_bytes() {
        match b {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', *b]),
            b'\n' => text.extend_from_slice(b"\\n"),
            b => text.push(*b),
        }
    }
    text.push(b'"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_quoted_word() {
        for (path, expected) in [
            ("/srv/a b", r#""/srv/a b""#),
            (r#"/srv/"x"\y"#, r#""/srv/\"x\"\\y""#),
            ("/srv/a\nb", r#""/srv/a\nb""#),
            ("/srv/a:b", r#""/srv/a:b""#),
        ] {
            assert_eq!(quote_path(Path::new(path)), expected.as_bytes());
        }
        assert_eq!(
            trust_config(&[Path::new("/a\"b"), Path::new("/c")]),
            b"[safe]\n\tdirectory = \"/a\\\"b\"\n\tdirectory = \"/c\"\n"
        );
    }
}
