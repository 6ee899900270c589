//! What can go wrong with an agent program, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::archive::ArchiveError;

/// An agent program could not be found, installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum AgentProgramError {
    /// No program of the list has the name.
    #[error("there is no agent program `{name}`")]
    UnknownName {
        /// The name that was asked for.
        name: String,
        /// Names that there are.
        known: Vec<String>,
    },
    /// Nothing is built for this machine.
    #[error("`{name}` is not built for this machine ({machine})")]
    NoBuild {
        /// The program.
        name: String,
        /// This machine.
        machine: String,
        /// Platforms it is built for.
        builds: Vec<String>,
    },
    /// The program needs another C library than this machine has.
    #[error("`{name}` needs glibc, and this machine has no `{}`", loader.display())]
    NoGlibc {
        /// The program.
        name: String,
        /// The file that is missing.
        loader: PathBuf,
    },
    /// The registry gave no answer.
    #[error("could not reach the registry at {url}")]
    Unreachable {
        /// Address without credentials.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// The answer ended before the file did.
    #[error("the download of {url} was cut off after {bytes} bytes")]
    Cut {
        /// Address without credentials.
        url: String,
        /// Bytes that came.
        bytes: u64,
        /// Why it ended, where it did not simply end.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// The answer is longer than what was asked for can be.
    #[error("{url} is longer than {bytes_max} bytes")]
    TooLong {
        /// Address without credentials.
        url: String,
        /// Bytes that it may have.
        bytes_max: u64,
    },
    /// The registry refused.
    #[error("the registry answered {status} for {url}")]
    Refused {
        /// Address without credentials.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// What came is not what was pinned.
    #[error("{url} is not the file that is pinned: expected {expected}, found {found}")]
    WrongIntegrity {
        /// Address without credentials.
        url: String,
        /// Digest in the list.
        expected: String,
        /// Digest of what came.
        found: String,
    },
    /// The archive holds what no package may hold.
    #[error("the archive of `{package}` cannot be unpacked")]
    Archive {
        /// The package.
        package: String,
        /// Which entry, and why.
        #[source]
        source: ArchiveError,
    },
    /// There is no room.
    #[error("not enough space in `{}`", folder.display())]
    NoSpace {
        /// The folder of the programs.
        folder: PathBuf,
        /// Bytes that an installation takes, where it was known before.
        needed_bytes: Option<u64>,
    },
    /// Nothing of that name is installed.
    #[error("`{name}` is not installed in `{}`", folder.display())]
    NotInstalled {
        /// The program.
        name: String,
        /// The folder of the programs.
        folder: PathBuf,
    },
    /// The pinned version is not installed.
    #[error("the agent program `{name}` {version} is not installed")]
    Missing {
        /// The program.
        name: String,
        /// The pinned version.
        version: String,
    },
    /// No agent of that name is declared.
    #[error("no agent `{name}` is declared")]
    Undeclared {
        /// What it was asked for by.
        name: String,
        /// Those that are.
        declared: Vec<String>,
    },
    /// Two declared agents have one name.
    #[error("the agent `{name}` is declared twice")]
    DeclaredTwice {
        /// Its name.
        name: String,
    },
    /// The file that a declared agent is started by is not there.
    #[error("the agent `{name}` has no program at `{}`", path.display())]
    NoProgram {
        /// What it is chosen by.
        name: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// Files of an installed program are gone or changed their size.
    #[error("the agent program `{name}` is damaged: {damage}")]
    Damaged {
        /// The program.
        name: String,
        /// What is wrong.
        damage: String,
    },
    /// There is no Node that is new enough, and none was to be installed.
    #[error("no Node from {oldest} on is on the program path or installed")]
    NoNode {
        /// The oldest one that will do.
        oldest: String,
    },
    /// The package index does not have the pinned wheel.
    #[error("{url} does not list `{file}`")]
    NoWheel {
        /// Address without credentials.
        url: String,
        /// File that is wanted.
        file: String,
    },
    /// The file system refused.
    #[error("could not {step} `{}`", path.display())]
    File {
        /// What was tried.
        step: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// `agents.json` is broken.
    #[error("the list of agent programs cannot be read")]
    List(#[source] serde_json::Error),
    /// A registry's description of a package says something unexpected.
    #[error("the registry's words about `{package}` make no sense: {what}")]
    Description {
        /// The package.
        package: String,
        /// What is wrong.
        what: String,
    },
    /// A thread of this process ended early.
    #[error("the work was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl AgentProgramError {
    /// What a person can do about it.
    pub fn next_step(&self) -> Option<String> {
        Some(match self {
            Self::UnknownName { known, .. } => format!("one of: {}", known.join(", ")),
            Self::NoBuild { builds, .. } => format!("it is built for {}", builds.join(", ")),
            Self::NoGlibc { .. } => {
                "use a machine with glibc, such as Debian, or choose another agent".to_owned()
            }
            Self::Unreachable { .. } | Self::Cut { .. } => {
                "check the network and try again; npm_config_registry names another registry, \
                 HTTPS_PROXY a proxy"
                    .to_owned()
            }
            Self::Refused {
                status: 401 | 403, ..
            } => "npm_config_registry names a registry that lets you in".to_owned(),
            Self::Refused { .. } => {
                "npm_config_registry names another registry; one that mirrors npm may lag behind"
                    .to_owned()
            }
            Self::WrongIntegrity { .. } | Self::TooLong { .. } => {
                "nothing was unpacked; do not install it from there: ask who runs that registry"
                    .to_owned()
            }
            Self::Archive { .. } => "nothing was installed; report it".to_owned(),
            Self::NoSpace { needed_bytes, .. } => match needed_bytes {
                Some(bytes) => format!(
                    "free {} MiB there, or name another folder with agents.folder",
                    bytes.div_ceil(1 << 20)
                ),
                None => "free some space there; nothing was left behind".to_owned(),
            },
            Self::NotInstalled { .. } => "`omoi agents list` shows what is".to_owned(),
            Self::Missing { name, .. } | Self::Damaged { name, .. } => {
                format!("omoi agents install {name}")
            }
            Self::Undeclared { declared, .. } => match declared.as_slice() {
                [] => "declare it in agents.acp".to_owned(),
                declared => format!(
                    "declare it in agents.acp, which has {}",
                    declared.join(", ")
                ),
            },
            Self::DeclaredTwice { .. } => "take one of them out of agents.acp".to_owned(),
            Self::NoProgram { .. } => {
                "put an executable file there, or mend folder and command in agents.acp".to_owned()
            }
            Self::NoNode { .. } => "omoi agents install node".to_owned(),
            Self::NoWheel { .. } => {
                "PIP_INDEX_URL names another index; one that mirrors PyPI may lag behind".to_owned()
            }
            Self::File { .. } => {
                "make it yours to read and write, or name another folder with agents.folder"
                    .to_owned()
            }
            Self::List(_) | Self::Description { .. } | Self::Interrupted(_) => return None,
        })
    }

    /// Whether the person must change what they typed, configured or installed.
    pub fn is_of_person(&self) -> bool {
        matches!(
            self,
            Self::UnknownName { .. }
                | Self::NoBuild { .. }
                | Self::NoGlibc { .. }
                | Self::NotInstalled { .. }
                | Self::Missing { .. }
                | Self::Undeclared { .. }
                | Self::DeclaredTwice { .. }
                | Self::NoProgram { .. }
                | Self::Damaged { .. }
                | Self::NoNode { .. }
                | Self::List(_)
        )
    }

    /// A refusal of the file system; a full disk is told as one.
    pub(crate) fn file_error(
        step: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace {
                folder: path,
                needed_bytes: None,
            },
            _ => Self::File { step, path, source },
        }
    }
}
