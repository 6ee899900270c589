//! Work trees cut from a mirror: one per attempt, sharing the history of its base without copying.
//!
//! What it stands on beyond that base is copied into it, so that it sees its own history and not one
//! object of anybody else's work. A clone is a repository of its own: refs, configuration and hooks are
//! not shared with anything, so what an agent does to them ends with it. It names no remote.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use tracing::debug;

use crate::layer::{CheckoutLayer, link_files};
use crate::mirror::{BaseStore, Identity, PACK_ARGUMENTS, off_thread};
use crate::object::ObjectId;
use crate::process::{CallTarget, GitError, write_private};
use crate::refname::RefName;

/// Git's index in a work tree.
const INDEX: &str = ".git/index";
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
        /// Folder in which the clone was to be made.
        dest: PathBuf,
    },
    /// The branch is not a branch.
    #[error("`{name}` is not a branch")]
    NotABranch {
        /// Ref name that was given as the branch.
        name: RefName,
    },
    /// A file system operation failed.
    #[error("could not prepare `{dest}`")]
    Io {
        /// Folder in which the clone was to be made.
        dest: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// A git command failed in the new clone.
    #[error("could not check out into `{dest}`")]
    Git {
        /// Folder in which the clone was to be made.
        dest: PathBuf,
        /// The failure of that git command.
        #[source]
        source: GitError,
    },
}

/// Branch, commits and identity of an attempt's clone.
#[derive(Clone, Debug)]
pub struct CloneSpec {
    /// The branch it is on; made in the clone only.
    pub branch: RefName,
    /// The commit it starts at.
    pub commit: ObjectId,
    /// Further commits whose history it can read: a snapshot to go on from, a commit to merge.
    pub readable: Vec<ObjectId>,
    /// Who commits made by hand inside it are by.
    pub identity: Identity,
}

/// Where a work tree is made, and what of.
#[derive(Clone, Copy, Debug)]
pub struct CloneSite<'a> {
    /// The history it shares.
    pub base: &'a BaseStore,
    /// The folder.
    pub dest: &'a Path,
    /// The prepared checkout whose files the folder shows already; none for an empty folder.
    pub layer: Option<&'a CheckoutLayer>,
}

impl<'a> CloneSite<'a> {
    /// An empty folder, or one to be made.
    pub fn new(base: &'a BaseStore, dest: &'a Path) -> Self {
        Self {
            base,
            dest,
            layer: None,
        }
    }
}

/// Makes a repository on `spec.branch` at `spec.commit`, its files checked out.
///
/// The objects of the base must stay visible to it at the same path; read-only is enough. It may be given
/// to another account afterwards.
pub async fn shared_clone(site: CloneSite<'_>, spec: &CloneSpec) -> Result<(), CloneError> {
    let CloneSite { base, dest, .. } = site;
    let Some(branch) = spec.branch.as_branch() else {
        return Err(CloneError::NotABranch {
            name: spec.branch.clone(),
        });
    };
    let user = format!(
        "[user]\n\tname = {}\n\temail = {}\n",
        quote_setting(spec.identity.name()),
        quote_setting(spec.identity.email())
    );
    init_repository(site, branch, &user).await?;
    let mut tips = vec![&spec.commit];
    tips.extend(&spec.readable);
    copy_history(base, dest, &tips).await?;
    check_out(site, spec.branch.as_str(), &spec.commit).await?;
    let commit = &spec.commit;
    debug!(%commit, %branch, dest = %dest.display(), "Cloned {commit} on `{branch}`");
    Ok(())
}

/// Makes a repository with a detached `HEAD` at `commit`, for running checks.
pub async fn clean_checkout(site: CloneSite<'_>, commit: &ObjectId) -> Result<(), CloneError> {
    let CloneSite { base, dest, .. } = site;
    init_repository(site, "none", "").await?;
    copy_history(base, dest, &[commit]).await?;
    check_out(site, "HEAD", commit).await?;
    debug!(%commit, dest = %dest.display(), "Checked {commit} out to run commands");
    Ok(())
}

/// Puts the files of the base's own commit into the empty folder `dest`, and git's index of them into a repository
/// there. Files that `earlier` has too are shared with it.
pub(crate) async fn fill_layer(
    base: &BaseStore,
    dest: &Path,
    earlier: Option<CheckoutLayer>,
) -> Result<(), CloneError> {
    let site = CloneSite::new(base, dest);
    init_repository(site, "none", "").await?;
    if let Some(earlier) = earlier {
        let to = dest.to_path_buf();
        let linked = off_thread(move || {
            link_files(&earlier.files_dir(), &to)?;
            std::fs::copy(earlier.index_file(), to.join(INDEX)).map(|_| ())
        });
        linked.await.map_err(|source| CloneError::Io {
            dest: dest.to_path_buf(),
            source,
        })?;
    }
    check_out(site, "HEAD", base.tip()).await
}

/// A repository without commits that borrows the objects of the base.
async fn init_repository(
    site: CloneSite<'_>,
    branch: &str,
    settings: &str,
) -> Result<(), CloneError> {
    let CloneSite { base, dest, layer } = site;
    let mirror = base.mirror();
    let io = |source| CloneError::Io {
        dest: dest.to_path_buf(),
        source,
    };
    std::fs::create_dir_all(dest).map_err(io)?;
    if layer.is_none() && std::fs::read_dir(dest).map_err(io)?.next().is_some() {
        return Err(CloneError::NotEmpty {
            dest: dest.to_path_buf(),
        });
    }
    mirror
        .git()
        .call("init", CallTarget::Nowhere)
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
    let mut alternates = base.objects_dir().as_os_str().as_bytes().to_vec();
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

/// Copies the objects that `tips` have beyond the history of `base` into `dest`.
async fn copy_history(base: &BaseStore, dest: &Path, tips: &[&ObjectId]) -> Result<(), CloneError> {
    if tips.iter().all(|tip| *tip == base.tip()) {
        return Ok(());
    }
    let mut request: String = tips.iter().map(|tip| format!("{tip}\n")).collect();
    request.push_str(&format!("^{}\n", base.tip()));
    let mirror = base.mirror();
    mirror
        .git()
        .call("pack-objects", CallTarget::Work(dest))
        .env(
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            mirror.objects_as_alternate(),
        )
        .args(PACK_ARGUMENTS)
        .arg(dest.join(".git/objects/pack/pack"))
        .stdin_bytes(request.as_bytes())
        .deadline_seconds(CHECKOUT_SECONDS_MAX)
        .run()
        .await
        .map_err(|source| CloneError::Git {
            dest: dest.to_path_buf(),
            source,
        })?;
    Ok(())
}

async fn check_out(site: CloneSite<'_>, name: &str, commit: &ObjectId) -> Result<(), CloneError> {
    let CloneSite { base, dest, layer } = site;
    let failed = |source| CloneError::Git {
        dest: dest.to_path_buf(),
        source,
    };
    let call = |command| base.mirror().git().call(command, CallTarget::Work(dest));
    call("update-ref")
        .args(["--no-deref", "--", name, commit.as_str()])
        .run()
        .await
        .map_err(failed)?;
    if let Some(layer) = layer {
        let copied = std::fs::copy(layer.index_file(), dest.join(INDEX));
        copied.map_err(|source| CloneError::Io {
            dest: dest.to_path_buf(),
            source,
        })?;
        if layer.checked_out() == commit {
            return Ok(());
        }
    }
    let rewrites_all = dest.join(INDEX).exists() && differs_in_attributes(site, commit).await?;
    // With an index this writes what differs, and nothing else.
    call("read-tree")
        .args(["--reset", "-u", commit.as_str()])
        // As many workers as processors.
        .config("checkout.workers", "0")
        .deadline_seconds(CHECKOUT_SECONDS_MAX)
        .run()
        .await
        .map_err(failed)?;
    if !rewrites_all {
        return Ok(());
    }
    // An index without the times of files takes none of them for written.
    std::fs::remove_file(dest.join(INDEX)).map_err(|source| CloneError::Io {
        dest: dest.to_path_buf(),
        source,
    })?;
    for (command, args) in [
        ("read-tree", [commit.as_str()].as_slice()),
        ("checkout-index", &["--all", "--force", "--index"]),
    ] {
        call(command)
            .args(args)
            .deadline_seconds(CHECKOUT_SECONDS_MAX)
            .run()
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// Whether `commit` has other attributes than the index: they decide what is written for a file that did not
/// change, such as its line ends.
async fn differs_in_attributes(site: CloneSite<'_>, commit: &ObjectId) -> Result<bool, CloneError> {
    let CloneSite { base, dest, .. } = site;
    let git = base.mirror().git();
    let compared = git
        .call("diff-index", CallTarget::Work(dest))
        .args(["--cached", "--quiet", commit.as_str(), "--"])
        .arg(":(top,glob)**/.gitattributes")
        .accept_codes(&[0, 1])
        .run()
        .await
        .map_err(|source| CloneError::Git {
            dest: dest.to_path_buf(),
            source,
        })?;
    Ok(compared.code == 1)
}

fn quote_setting(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
