//! The hand-over: creates the finished branch in the user's repository.
//!
//! Objects travel as one pack through a pipe and the branch is created, never moved: no hook runs,
//! no work tree, index or existing ref is touched.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tracing::debug;

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use crate::mirror::Mirror;
use crate::object::ObjectId;
use crate::process::GitError;
use crate::refname::{BadRefName, RefName};
use crate::repo::UserRepo;
use crate::slug::numbered_names;

const PUSH_SECONDS_MAX: u64 = 1_800;
const NAMES_TRIED_MAX: usize = 100;

/// Why the branch did not get the wanted name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameReason {
    /// A branch of that name has other content.
    Taken,
    /// A work tree has it checked out.
    CheckedOut,
    /// A branch is in the way because one name is a folder of the other.
    Nested,
}

/// Name under which the branch was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedBranch {
    /// The branch's name in the user's repository.
    pub branch: String,
    /// Why it is not the wanted one, when it is not.
    pub renamed: Option<RenameReason>,
    /// Whether it was there already, pointing at the same commit.
    pub existed: bool,
}

/// Why the hand-over failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The wanted name cannot be a branch.
    #[error("the branch cannot have that name")]
    Name(#[from] BadRefName),
    /// Every name tried is taken.
    #[error("`{branch}` and its {NAMES_TRIED_MAX} next names are all taken")]
    NoName {
        /// Branch name that was asked for.
        branch: String,
    },
    /// A file system operation failed.
    #[error("could not reach `{path}`")]
    Io {
        /// What could not be reached.
        path: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// A git command failed in the mirror or in the user's repository.
    #[error("git could not put the branch into the user's repository")]
    Git(#[from] GitError),
}

/// Puts `commit` into the repository at `repo` as branch `wanted` or the next free name.
///
/// Doing it again finds the branch it made and reports it.
pub async fn push_branch(
    mirror: &Mirror,
    repo: &Path,
    commit: &ObjectId,
    wanted: &str,
) -> Result<PushedBranch, PushError> {
    RefName::from_branch(wanted)?;
    let io = |source| PushError::Io {
        path: repo.to_path_buf(),
        source,
    };
    let user = UserRepo::open(mirror.git(), repo).map_err(io)?;
    crash::pass_point(CrashPoint::BranchPushed, CrashSide::Before);
    send_objects(mirror, &user, commit).await?;
    // Somebody may take the chosen name at the same moment; then the next one is chosen.
    for last in (0..3).rev() {
        let refs = UserRefs::read_refs(&user).await?;
        let pushed = refs.choose_name(wanted, commit)?;
        if !pushed.existed {
            let name = RefName::from_branch(&pushed.branch)?;
            let created = user
                .call("update-ref")
                .args(["--no-deref", "-m", "omoi: hand over", "--", name.as_str()])
                .args([commit.as_str(), ""])
                .env("GIT_COMMITTER_NAME", "OmoiOS")
                .env("GIT_COMMITTER_EMAIL", "omoios@localhost")
                .run()
                .await;
            match created {
                Err(GitError::Failed { .. }) if last > 0 => {
                    debug!(
                        branch = pushed.branch,
                        "`{}` was just taken by somebody else", pushed.branch
                    );
                    continue;
                }
                created => created?,
            };
        }
        crash::pass_point(CrashPoint::BranchPushed, CrashSide::After);
        debug!(branch = pushed.branch, existed = pushed.existed, %commit, "Branch `{}` is in the user's repository", pushed.branch);
        return Ok(pushed);
    }
    Err(PushError::NoName {
        branch: wanted.to_owned(),
    })
}

/// Packs what the user's repository lacks and feeds it to git there.
async fn send_objects(
    mirror: &Mirror,
    user: &UserRepo<'_>,
    commit: &ObjectId,
) -> Result<(), PushError> {
    let io = |source| PushError::Io {
        path: mirror.dir().to_path_buf(),
        source,
    };
    let tips = user
        .call("for-each-ref")
        .arg("--format=%(objectname)")
        .run()
        .await?;
    let known = mirror
        .call("cat-file")
        .arg("--batch-check=%(objecttype) %(objectname)")
        .stdin_bytes(&tips.stdout)
        .run()
        .await?;
    let mut revisions = format!("{commit}\n");
    for line in known.stdout_text().lines() {
        if let Some(id) = line.strip_prefix("commit ") {
            revisions.extend(["^", id, "\n"]);
        }
    }
    let scratch = mirror.scratch_folder().map_err(io)?;
    let path = scratch.path().join("pack");
    mirror
        .call("pack-objects")
        .args(["--revs", "--stdout", "--thin", "--delta-base-offset", "-q"])
        .stdin_bytes(revisions.as_bytes())
        .stdout_file(File::create(&path).map_err(io)?)
        .deadline_seconds(PUSH_SECONDS_MAX)
        .run()
        .await?;
    user.call("index-pack")
        .args(["--stdin", "--fix-thin"])
        .stdin_file(File::open(&path).map_err(io)?)
        .deadline_seconds(PUSH_SECONDS_MAX)
        .run()
        .await?;
    Ok(())
}

struct UserRefs {
    branches: Vec<(String, ObjectId)>,
    checked_out: BTreeSet<String>,
}

impl UserRefs {
    async fn read_refs(user: &UserRepo<'_>) -> Result<Self, GitError> {
        let refs = user
            .call("for-each-ref")
            .args(["--format=%(objectname) %(refname)", "refs/heads/"])
            .run()
            .await?;
        let branches = refs
            .stdout_text()
            .lines()
            .filter_map(|line| {
                let (id, name) = line.split_once(" refs/heads/")?;
                Some((name.to_owned(), ObjectId::parse(id).ok()?))
            })
            .collect();
        let worktrees = user
            .call("worktree")
            .args(["list", "--porcelain", "-z"])
            .run()
            .await?;
        let checked_out = worktrees
            .nul_records()
            .filter_map(|r| r.strip_prefix(b"branch refs/heads/"))
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        Ok(Self {
            branches,
            checked_out,
        })
    }

    fn choose_name(&self, wanted: &str, commit: &ObjectId) -> Result<PushedBranch, PushError> {
        let mut renamed = None;
        // `a/b` cannot stand beside `a`, whatever number follows it: take it out of the folder.
        let under_a_branch = |name: &str| {
            self.branches.iter().any(|(b, _)| {
                name.strip_prefix(b.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let mut base = wanted.to_owned();
        if under_a_branch(&base) {
            renamed = Some(RenameReason::Nested);
            base = base.replace('/', "-");
        }
        for name in numbered_names(&base).take(NAMES_TRIED_MAX) {
            let there = self.branches.iter().find(|(b, _)| *b == name);
            let folder = format!("{name}/");
            let why = match there {
                Some((_, id)) if id == commit => {
                    return Ok(PushedBranch {
                        branch: name,
                        renamed,
                        existed: true,
                    });
                }
                _ if self.checked_out.contains(&name) => RenameReason::CheckedOut,
                Some(_) => RenameReason::Taken,
                None if self.branches.iter().any(|(b, _)| b.starts_with(&folder)) => {
                    RenameReason::Nested
                }
                None => {
                    return Ok(PushedBranch {
                        branch: name,
                        renamed,
                        existed: false,
                    });
                }
            };
            renamed.get_or_insert(why);
        }
        Err(PushError::NoName {
            branch: wanted.to_owned(),
        })
    }
}
