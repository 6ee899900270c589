//! Work trees cut from a mirror: one per attempt, sharing the mirror's objects without copying.
//!
//! A clone is a repository of its own: refs, configuration and hooks are not shared with anything,
//! so what an agent does to them ends with it. It names no remote.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::mirror::{Identity, Mirror};
use crate::object::ObjectId;
use crate::process::{GitError, Place, write_private};
use crate::refname::RefName;

const CHECKOUT_SECONDS_MAX: u64 = 900;

/// A clone is thrown away with its attempt: nothing in it needs to survive a power cut. Handing it to
/// another account and resetting access times move owner and change time, which git must not take for
/// changes.
const SETTINGS: &str = "\
[core]
\tfsync = none
\tcheckStat = minimal
\ttrustctime = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[merge]
\tconflictStyle = zdiff3
";

/// Why a work tree could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// The destination holds something already.
    #[error("`{dest}` is not an empty folder")]
    NotEmpty {
        /// The destination.
        dest: PathBuf,
    },
    /// The branch is not a branch.
    #[error("`{name}` is not a branch")]
    NotABranch {
        /// The ref.
        name: RefName,
    },
    /// The file system refused.
    #[error("could not prepare `{dest}`")]
    Io {
        /// The destination.
        dest: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Git refused.
    #[error("could not check out into `{dest}`")]
    Git {
        /// The destination.
        dest: PathBuf,
        /// What git said.
        #[source]
        source: GitError,
    },
}

/// What an attempt's clone is cut from.
#[derive(Clone, Debug)]
pub struct CloneSpec {
    /// The branch it is on; made in the clone only.
    pub branch: RefName,
    /// The commit it starts at.
    pub commit: ObjectId,
    /// Who commits made by hand inside it are by.
    pub identity: Identity,
}

/// Makes `dest` a repository on `spec.branch` at `spec.commit`, its files checked out.
///
/// The mirror's [`objects_dir`](Mirror::objects_dir) must stay visible to it at the same path;
/// read-only is enough. It may be given to another account afterwards.
pub async fn shared_clone(
    mirror: &Mirror,
    dest: &Path,
    spec: &CloneSpec,
) -> Result<(), CloneError> {
    let Some(branch) = spec.branch.as_branch() else {
        return Err(CloneError::NotABranch {
            name: spec.branch.clone(),
        });
    };
    let user = format!(
        "[user]\n\tname = {}\n\temail = {}\n",
        quoted(spec.identity.name()),
        quoted(spec.identity.email())
    );
    init(mirror, dest, branch, &user).await?;
    check_out(mirror, dest, spec.branch.as_str(), &spec.commit).await
}

/// Makes `dest` a repository with a detached `HEAD` at `commit`, for running checks.
pub async fn clean_checkout(
    mirror: &Mirror,
    dest: &Path,
    commit: &ObjectId,
) -> Result<(), CloneError> {
    init(mirror, dest, "none", "").await?;
    check_out(mirror, dest, "HEAD", commit).await
}

/// An empty repository that borrows the mirror's objects.
async fn init(
    mirror: &Mirror,
    dest: &Path,
    branch: &str,
    settings: &str,
) -> Result<(), CloneError> {
    let io = |source| CloneError::Io {
        dest: dest.to_path_buf(),
        source,
    };
    std::fs::create_dir_all(dest).map_err(io)?;
    if std::fs::read_dir(dest).map_err(io)?.next().is_some() {
        return Err(CloneError::NotEmpty {
            dest: dest.to_path_buf(),
        });
    }
    mirror
        .git()
        .call("init", Place::Nowhere)
        .args(["--quiet", "--template=", "--object-format=sha1"])
        .arg(format!("--initial-branch={branch}"))
        .arg("--")
        .arg(dest)
        .run()
        .await
        .map_err(|source| CloneError::Git {
            dest: dest.to_path_buf(),
            source,
        })?;
    let git_dir = dest.join(".git");
    let mut config = File::options()
        .append(true)
        .open(git_dir.join("config"))
        .map_err(io)?;
    config.write_all(SETTINGS.as_bytes()).map_err(io)?;
    config.write_all(settings.as_bytes()).map_err(io)?;
    let mut alternates = mirror.objects_dir().as_os_str().as_bytes().to_vec();
    alternates.push(b'\n');
    let info = git_dir.join("objects/info");
    std::fs::create_dir_all(&info).map_err(io)?;
    write_private(&info.join("alternates"), &alternates).map_err(io)?;
    // A history that is cut off in the mirror is cut off here.
    let shallow = mirror.dir().join("shallow");
    if shallow.exists() {
        std::fs::copy(shallow, git_dir.join("shallow")).map_err(io)?;
    }
    Ok(())
}

async fn check_out(
    mirror: &Mirror,
    dest: &Path,
    name: &str,
    commit: &ObjectId,
) -> Result<(), CloneError> {
    let failed = |source| CloneError::Git {
        dest: dest.to_path_buf(),
        source,
    };
    let call = |command| mirror.git().call(command, Place::Work(dest));
    call("update-ref")
        .args(["--no-deref", "--", name, commit.as_str()])
        .run()
        .await
        .map_err(failed)?;
    call("read-tree")
        .args(["--reset", "-u", commit.as_str()])
        // As many workers as processors.
        .config("checkout.workers", "0")
        .deadline(CHECKOUT_SECONDS_MAX)
        .run()
        .await
        .map_err(failed)?;
    Ok(())
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
