//! Why a spec is not written down.

use omoi_execution::agent_programs::ProgramUnusable;
use omoi_execution::copied_files::CopyError;
use omoi_execution::setup::SetupError;
use omoi_git::import::ImportError;
use omoi_git::mirror::{BaseStoreError, MirrorError, UpdateRefError};
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::GitError;
use omoi_git::refname::BadRefName;
use omoi_git::repo::InspectError;
use omoi_git::survey::SurveyError;
use omoi_store::StoreError;

use crate::repository_file::RepositoryFileError;

/// Characters of an idea that are read.
pub const IDEA_CHARS_MAX: usize = 100_000;

/// Why a spec was not written down.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Nothing was asked for.
    #[error("the idea is empty; say what you want built")]
    EmptyIdea,
    /// The idea is too long to be put in front of a model.
    #[error("the idea has {chars} characters, at most {IDEA_CHARS_MAX} are read")]
    LongIdea {
        /// Its length.
        chars: usize,
    },
    /// The repository cannot be used.
    #[error(transparent)]
    Repository(#[from] InspectError),
    /// The mirror could not be filled.
    #[error("could not copy the repository's history")]
    Mirror(#[from] MirrorError),
    /// Git refused.
    #[error("git refused")]
    Git(#[from] GitError),
    /// The branch cannot be named.
    #[error("the integration branch cannot be named")]
    RefName(#[from] BadRefName),
    /// The repository's own configuration cannot be used.
    #[error(transparent)]
    RepositoryFile(#[from] RepositoryFileError),
    /// The repository asks for something that only a person can allow.
    #[error("`.omoi.yaml` asks for what you did not allow: {}", asks.join("; "))]
    NotTrusted {
        /// The repository.
        repo: String,
        /// What it asks for, one line each.
        asks: Vec<String>,
    },
    /// A repository that lies elsewhere asks for something of this machine.
    #[error("`.omoi.yaml` asks for what nobody can allow a repository that lies elsewhere: {}", asks.join("; "))]
    AsksForMachine {
        /// What it asks for, one line each.
        asks: Vec<String>,
    },
    /// A commit is named by what is no name of one.
    #[error(transparent)]
    CommitName(BadObjectId),
    /// The commit was never sent here.
    #[error("commit {commit:.10} of the repository is not here")]
    NotUploaded {
        /// The commit that work was to begin at.
        commit: ObjectId,
    },
    /// The commits of the project are read where its repository lies.
    #[error(
        "the repository of the project `{project}` lies on the disk of the server, which takes no commits of it"
    )]
    OnServer {
        /// What people call the project.
        project: String,
    },
    /// Nothing is begun in the project any more.
    #[error("the project `{project}` is put away, and takes no commits")]
    PutAway {
        /// What people call the project.
        project: String,
    },
    /// What was sent of the repository cannot be taken in.
    #[error("the commits that were sent cannot be taken in")]
    Upload(#[from] ImportError),
    /// A ref of the mirror could not be set.
    #[error("could not keep the commit that work begins at")]
    Ref(#[from] UpdateRefError),
    /// The yes was to another text.
    #[error("`.omoi.yaml` changed since you looked at it; nothing was allowed")]
    TrustOutdated,
    /// The repository could not be surveyed.
    #[error("could not survey the repository")]
    Survey(#[from] SurveyError),
    /// The ticket that it was for is not to be begun any more.
    #[error("nothing is to be begun any more")]
    NotWanted,
    /// Every name the integration branch could have is taken.
    #[error("no free name for the integration branch; `omoi/{slug}` and its successors are taken")]
    NoFreeBranch {
        /// What the name is made of.
        slug: String,
    },
    /// Nothing can be installed here.
    #[error("this process runs no sandboxes")]
    NoSandbox,
    /// Packages could not be installed.
    #[error("could not install packages")]
    Setup(#[source] SetupError),
    /// The history that a sandbox may read could not be set apart.
    #[error("could not set the base commit's history apart")]
    BaseStore(#[from] BaseStoreError),
    /// A file of the checkout cannot be copied.
    #[error(transparent)]
    Copies(#[from] CopyError),
    /// The agent cannot be used.
    #[error(transparent)]
    Agent(#[from] ProgramUnusable),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}
