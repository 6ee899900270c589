//! How a set-up fails.

use std::fmt;
use std::io;

use omoi_domain::sandbox::SandboxRung;
use omoi_egress::refusal::ClosedRegistry;
use omoi_git::layer::LayerError;
use omoi_git::process::GitError;
use omoi_git::survey::SurveyError;
use omoi_sandbox::{GuardRefusal, LaunchError, WaitError};

use crate::commit_content::ContentError;

use super::needed_secret::NeededSecret;

/// Paths that are told of those that nothing explains.
const NAMES_MAX: usize = 20;

/// A set-up that ran and did not do what it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupFailure {
    /// The commands.
    pub commands: Vec<String>,
    /// What went wrong.
    pub cause: SetupCause,
    /// The end of what it printed.
    pub output: String,
}

/// What went wrong with a set-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupCause {
    /// A command ended with this code; none for a signal.
    Exited(Option<i32>),
    /// It did not end in time.
    TimeLimit {
        /// The limit, in seconds.
        seconds: u64,
    },
    /// It used more than a sandbox may.
    Exhausted {
        /// The limit, in words.
        limit: String,
    },
    /// It failed so, in a kind of sandbox from which nobody reaches a registry.
    NoWay {
        /// How it ended.
        ended: Box<Self>,
        /// The kind of sandbox.
        rung: SandboxRung,
    },
    /// A registry did not answer while it ran: what was refused for that.
    RegistryAway(String),
    /// A registry or another host wanted a credential.
    SecretNeeded(NeededSecret),
    /// It changed files of the commit.
    ChangedFiles(Vec<String>),
    /// Nothing in the commit asks for packages, though its base commit has some: these, as far as lock files listed them.
    NamesNothing(Vec<String>),
    /// It added, changed or left out files of packages though no lock file says so: these paths.
    UnexplainedPaths(Vec<String>),
}

impl SetupCause {
    /// That there was no way to a registry, where a command failed in a sandbox of the kind `rung` that has none.
    pub(super) fn or_no_way(self, rung: SandboxRung) -> Self {
        match self {
            Self::Exited(_) | Self::TimeLimit { .. } if !rung.has_own_loopback() => Self::NoWay {
                ended: Box::new(self),
                rung,
            },
            other => other,
        }
    }

    /// That a secret is needed, where a command failed and one of `closed`, or what was `printed`, says so.
    pub(super) fn or_secret_needed(self, closed: &[ClosedRegistry], printed: &str) -> Self {
        if !matches!(self, Self::Exited(_)) {
            return self;
        }
        match NeededSecret::find(closed, printed) {
            Some(secret) => Self::SecretNeeded(secret),
            None => self,
        }
    }
}

impl fmt::Display for SetupCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(Some(code)) => write!(f, "it ended with code {code}"),
            Self::Exited(None) => f.write_str("a signal ended it"),
            Self::TimeLimit { seconds } => {
                write!(
                    f,
                    "it did not end within {seconds} s (`sandbox.setup_seconds`)"
                )
            }
            Self::Exhausted { limit } => f.write_str(limit),
            Self::NoWay { ended, rung } => write!(
                f,
                "{ended}, and no registry can be reached from a sandbox of the kind `{rung}`: use bubblewrap or a \
                 container engine, `omoi doctor` says what is missing"
            ),
            Self::RegistryAway(refusal) => f.write_str(refusal),
            Self::SecretNeeded(secret) => secret.fmt(f),
            Self::UnexplainedPaths(paths) => write!(
                f,
                "what it installed differs from the base commit's packages where no lock file says so: {}",
                list_names(paths)
            ),
            Self::NamesNothing(versions) if versions.is_empty() => f.write_str(
                "no lock file or manifest of the commit asks for packages any more, and the base commit has some",
            ),
            Self::NamesNothing(versions) => write!(
                f,
                "no lock file or manifest of the commit asks for packages any more, and the base commit has {}",
                list_names(versions)
            ),
            Self::ChangedFiles(names) => {
                write!(f, "it changed files of the commit: {}", names.join(", "))
            }
        }
    }
}

/// The first of `names`, and how many there are besides.
fn list_names(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_MAX);
    let mut text = shown.cloned().collect::<Vec<_>>().join(", ");
    if let Some(more) = names.len().checked_sub(NAMES_MAX).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

impl fmt::Display for SetupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "set-up `{}` failed: {}",
            self.commands.join("; "),
            self.cause
        )
    }
}

impl SetupFailure {
    /// The failure, with the last words of what failed.
    pub fn whole_text(&self) -> String {
        match self.last_line() {
            Some(line) => format!("{self} ({line})"),
            None => self.to_string(),
        }
    }

    /// The last line that it printed, if it printed any.
    pub fn last_line(&self) -> Option<&str> {
        let mut lines = self.output.lines().map(str::trim);
        lines.rfind(|line| !line.is_empty())
    }
}

/// Why nothing may begin on a commit, or nothing can be said of its set-up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The commands of the repository's own file failed.
    #[error("{}", .0.whole_text())]
    Failed(SetupFailure),
    /// A registry does not answer: it is waited for, and nobody's work is at fault.
    #[error("{}", .0.whole_text())]
    RegistryAway(SetupFailure),
    /// Something runs with the packages that are to be installed again.
    #[error("something runs with these packages: try again when it has ended")]
    InUse,
    /// The process stops.
    #[error("this process stopped before the packages were installed")]
    Stopped,
    /// The commit could not be read.
    #[error("could not find out what is to be installed")]
    Survey(#[from] SurveyError),
    /// Git refused.
    #[error("git refused")]
    Git(#[from] GitError),
    /// The checkout failed.
    #[error("could not check out the commit to set up")]
    Content(#[from] ContentError),
    /// Packages could not be kept.
    #[error("could not keep the packages")]
    Layer(#[from] LayerError),
    /// Files could not be read or made.
    #[error("could not read the checkout that was set up")]
    Io(#[from] io::Error),
    /// A folder on the list cannot be shown.
    #[error("a folder on the list cannot be shown")]
    Guarded(#[from] GuardRefusal),
    /// The sandbox did not start.
    #[error("could not start the sandbox of a set-up")]
    Launch(#[from] LaunchError),
    /// The sandbox fell apart.
    #[error("could not follow the sandbox of a set-up")]
    Wait(#[from] WaitError),
}
