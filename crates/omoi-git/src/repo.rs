//! The user's own repository, looked at and never written.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;
use tracing::debug;

use crate::object::ObjectId;
use crate::process::{CallTarget, Git, GitCall, GitError, RepoOwner};

/// What a user's repository looks like at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoInfo {
    /// The work tree's root; of a bare repository its git directory.
    pub toplevel: PathBuf,
    /// The git directory that holds objects and refs, also when the path is a linked worktree.
    pub git_dir: PathBuf,
    /// The commit `HEAD` names.
    pub head: ObjectId,
    /// The branch that is checked out; none when `HEAD` is detached.
    pub branch: Option<String>,
    /// Whether there are changes or untracked files that `HEAD` does not have.
    ///
    /// Also true when git could not tell, for example because a filter program is missing.
    pub dirty: bool,
    /// The branch others work from: the remote's default, else a usual name, else the current one.
    pub default_branch: Option<String>,
    /// Whether it has no work tree.
    pub bare: bool,
    /// Whether its history is cut off.
    pub shallow: bool,
}

/// Why a path cannot be used as the user's repository.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Nothing is there, or it is not a folder.
    #[error("`{path}` is not a folder")]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// The folder is not inside a git repository.
    #[error("`{path}` is not a git repository")]
    NotARepository {
        /// The path as given.
        path: PathBuf,
    },
    /// The repository has no commit to start from.
    #[error("the repository at `{path}` has no commit yet")]
    Empty {
        /// The path as given.
        path: PathBuf,
    },
    /// It belongs to another account, whose configuration git will not trust.
    #[error("the repository at `{path}` belongs to another user")]
    OtherOwner {
        /// The path as given.
        path: PathBuf,
    },
    /// Its objects are not named by SHA-1.
    #[error("the repository at `{path}` uses object format `{format}`; only sha1 is supported")]
    ObjectFormat {
        /// The path as given.
        path: PathBuf,
        /// The format it uses.
        format: String,
    },
    /// The system does not let us in.
    #[error("`{path}` cannot be read")]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// The finished branch could not be put there.
    #[error(
        "the repository at `{path}` cannot be written, so the finished branch could not be handed \
         over; make `{folder}` writable or run on a clone of it"
    )]
    ReadOnly {
        /// Top folder of the repository.
        path: PathBuf,
        /// The folder that refuses.
        folder: PathBuf,
    },
    /// Git cannot make sense of it.
    #[error("git cannot read the repository at `{path}`")]
    Broken {
        /// The path as given.
        path: PathBuf,
        /// The failure of the git command.
        #[source]
        source: GitError,
    },
}

/// Looks at the repository that holds `path`; any folder inside it will do.
pub async fn inspect_repository(git: &Git, path: &Path) -> Result<RepoInfo, InspectError> {
    let given = || path.to_path_buf();
    let real = reachable_folder(path)?;
    let user = UserRepo::open(git, &real).map_err(|source| InspectError::Unreadable {
        path: given(),
        source,
    })?;
    let broken = |source| InspectError::Broken {
        path: given(),
        source,
    };
    let layout = user
        .call("rev-parse")
        .args(["--path-format=absolute", "--is-bare-repository"])
        .args(["--is-shallow-repository", "--show-object-format"])
        .arg("--git-common-dir")
        .run()
        .await
        .map_err(|e| first_call_error(path, e))?;
    let text = layout.stdout_text();
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or("").to_owned();
    let (bare, shallow, format, git_dir) = (line(), line(), line(), line());
    if format != "sha1" {
        return Err(InspectError::ObjectFormat {
            path: given(),
            format,
        });
    }
    let bare = bare == "true";
    let git_dir = PathBuf::from(git_dir);
    let toplevel = if bare {
        git_dir.clone()
    } else {
        user.read_toplevel().await.map_err(broken)?
    };
    let head = user.read_head().await.map_err(broken)?;
    let head = head.ok_or_else(|| InspectError::Empty { path: given() })?;
    let branch = user
        .symbolic_ref("HEAD", "refs/heads/")
        .await
        .map_err(broken)?;
    let default_branch = user.default_branch().await.map_err(broken)?;
    debug!(repo = %toplevel.display(), %head, branch, bare, shallow, "Inspected `{}`", toplevel.display());
    Ok(RepoInfo {
        dirty: !bare && user.has_changes().await.map_err(broken)?,
        default_branch: default_branch.or_else(|| branch.clone()),
        shallow: shallow == "true",
        toplevel,
        git_dir,
        head,
        branch,
        bare,
    })
}

/// Refuses a repository that the hand-over could not write to; nothing is written to find out.
///
/// # Errors
/// [`InspectError::ReadOnly`].
pub fn expect_writable(repo: &RepoInfo) -> Result<(), InspectError> {
    for folder in ["objects", "refs", "refs/heads"] {
        let folder = repo.git_dir.join(folder);
        if !is_writable(&folder) {
            return Err(InspectError::ReadOnly {
                path: repo.toplevel.clone(),
                folder,
            });
        }
    }
    Ok(())
}

/// Whether git could make files in `folder`. Root writes another user's repository as that user, for
/// whom the permission bits count and not root's rights.
fn is_writable(folder: &Path) -> bool {
    let asked = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    let allowed = rustix::fs::accessat(rustix::fs::CWD, folder, asked, AtFlags::EACCESS);
    let owner_may = match RepoOwner::other_than_root(folder) {
        Ok(None) => true,
        Ok(Some(_)) => std::fs::metadata(folder).is_ok_and(|meta| meta.mode() & 0o300 == 0o300),
        Err(_) => false,
    };
    allowed.is_ok() && owner_may
}

/// `path` without symbolic links, if it is a folder we may enter.
fn reachable_folder(path: &Path) -> Result<PathBuf, InspectError> {
    let path_buf = || path.to_path_buf();
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            InspectError::NotAFolder { path: path_buf() }
        }
        _ => InspectError::Unreadable {
            path: path_buf(),
            source,
        },
    };
    let real = path.canonicalize().map_err(unreadable)?;
    if !real.is_dir() {
        return Err(InspectError::NotAFolder { path: path_buf() });
    }
    std::fs::read_dir(&real).map_err(unreadable)?;
    Ok(real)
}

/// Git tells these apart only in words; the environment fixes their language.
fn first_call_error(path: &Path, error: GitError) -> InspectError {
    let path = path.to_path_buf();
    match &error {
        GitError::Failed { message, .. } if message.contains("not a git repository") => {
            InspectError::NotARepository { path }
        }
        GitError::Failed { message, .. } if message.contains("dubious ownership") => {
            InspectError::OtherOwner { path }
        }
        _ => InspectError::Broken {
            path,
            source: error,
        },
    }
}

/// A user's repository together with the account that git runs as in it.
pub(crate) struct UserRepo<'a> {
    git: &'a Git,
    path: &'a Path,
    owner: Option<RepoOwner>,
}

impl<'a> UserRepo<'a> {
    pub(crate) fn open(git: &'a Git, path: &'a Path) -> io::Result<Self> {
        let owner = RepoOwner::other_than_root(path)?;
        Ok(Self { git, path, owner })
    }

    pub(crate) fn call(&self, command: &'static str) -> GitCall<'a> {
        self.git
            .call(command, CallTarget::Inside(self.path))
            .run_as(self.owner)
    }

    /// Whether root acts here as somebody else.
    pub(crate) fn is_foreign(&self) -> bool {
        self.owner.is_some()
    }

    async fn read_toplevel(&self) -> Result<PathBuf, GitError> {
        let out = self.call("rev-parse").arg("--show-toplevel").run().await?;
        Ok(PathBuf::from(out.stdout_text()))
    }

    async fn read_head(&self) -> Result<Option<ObjectId>, GitError> {
        let out = self
            .call("rev-parse")
            .args(["--verify", "--quiet", "--end-of-options", "HEAD^{commit}"])
            .accept_codes(&[0, 1])
            .run()
            .await?;
        Ok(ObjectId::parse(&out.stdout_text()).ok())
    }

    /// What `name` points at, without `prefix`; none when it is no symbolic ref or points elsewhere.
    pub(crate) async fn symbolic_ref(
        &self,
        name: &str,
        prefix: &str,
    ) -> Result<Option<String>, GitError> {
        let out = self
            .call("symbolic-ref")
            .args(["--quiet", name])
            .accept_codes(&[0, 1])
            .run()
            .await?;
        Ok(out.stdout_text().strip_prefix(prefix).map(str::to_owned))
    }

    async fn default_branch(&self) -> Result<Option<String>, GitError> {
        let remote = self
            .symbolic_ref("refs/remotes/origin/HEAD", "refs/remotes/origin/")
            .await?;
        if remote.is_some() {
            return Ok(remote);
        }
        const USUAL: [&str; 4] = ["main", "master", "develop", "trunk"];
        let out = self
            .call("for-each-ref")
            .arg("--format=%(refname)")
            .args(USUAL.map(|name| format!("refs/heads/{name}")))
            .run()
            .await?;
        let text = out.stdout_text();
        let found = USUAL.into_iter().find(|name| {
            text.lines()
                .any(|l| l.strip_prefix("refs/heads/") == Some(name))
        });
        Ok(found.map(str::to_owned))
    }

    /// One byte of status is enough to know.
    async fn has_changes(&self) -> Result<bool, GitError> {
        let status = self
            .call("status")
            .args([
                "--porcelain",
                "-z",
                "--no-renames",
                "--ignore-submodules=all",
            ])
            .truncate_at(1)
            .run()
            .await;
        match status {
            Ok(out) => Ok(!out.stdout.is_empty()),
            Err(GitError::Failed { .. }) => Ok(true),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    #![allow(clippy::disallowed_methods, reason = "git's own words are read")]
    use super::*;

    #[test]
    fn a_repository_of_another_owner_is_told_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            std::process::Command::new("git")
                .args(arguments)
                .current_dir(folder.path())
                .env("LC_ALL", "C.UTF-8")
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                // Git's own tests use it: whoever asks is taken for somebody else.
                .env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
                .output()
                .unwrap()
        };
        assert!(git(&["init", "--quiet"]).status.success());
        let refused = git(&["rev-parse", "HEAD"]);
        let error = GitError::Failed {
            command: "rev-parse",
            code: refused.status.code(),
            message: String::from_utf8(refused.stderr).unwrap(),
        };
        let told = first_call_error(folder.path(), error);
        assert!(
            matches!(&told, InspectError::OtherOwner { path } if path == folder.path()),
            "{told:?}"
        );
    }
}
