//! The one place that starts programs: git, and the probes of the host's toolchains.
//!
//! A call names its repository, gets an empty environment but for what stands here, and has a
//! deadline and an output cap. No hook, file-system monitor, pager, editor, credential helper or
//! network transport can start, whatever a repository's own configuration says.

mod call;
mod object_reader;
mod run;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::process::Command;
use tracing::debug;

pub(crate) use call::{GitCall, GitOutput};
pub(crate) use object_reader::{ObjectInfo, ObjectReader};
pub(crate) use run::probe_program;

/// The oldest git that has `merge-tree --write-tree` and NUL-separated object lookups.
pub const GIT_VERSION_MIN: (u32, u32) = (2, 38);

/// Configuration that outranks every file, so that a repository cannot make git start a program,
/// reach a network or rewrite its own store behind our back.
const CONFIG: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.quotePath", "false"),
    ("core.sshCommand", "false"),
    ("core.askPass", "false"),
    ("core.pager", "cat"),
    ("core.editor", "false"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.file.allow", "always"),
    ("protocol.ext.allow", "never"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("rerere.enabled", "false"),
    ("log.showSignature", "false"),
    ("color.ui", "false"),
];

/// Why a git call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program could not be started.
    #[error("could not start `git {command}`")]
    Start {
        /// Git subcommand that was called, such as `fetch`.
        command: &'static str,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// Reading from the running program, or writing to it, failed.
    #[error("could not read or write for `git {command}`")]
    Io {
        /// Git subcommand that was called, such as `fetch`.
        command: &'static str,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// It ran too long and was stopped.
    #[error("`git {command}` was stopped after {seconds} s")]
    Deadline {
        /// Git subcommand that was called, such as `fetch`.
        command: &'static str,
        /// How long it was given.
        seconds: u64,
    },
    /// It wrote more to standard output than the caller takes.
    #[error("`git {command}` put out more than {limit_bytes} bytes")]
    OutputTooLarge {
        /// Git subcommand that was called, such as `fetch`.
        command: &'static str,
        /// Longest standard output that the caller takes.
        limit_bytes: usize,
    },
    /// It ended with an exit code that means failure.
    #[error("`git {command}` failed ({}): {message}", exit_text(*code))]
    Failed {
        /// Git subcommand that was called, such as `fetch`.
        command: &'static str,
        /// Exit code, or none when a signal ended it.
        code: Option<i32>,
        /// The end of what it wrote to standard error.
        message: String,
    },
    /// It succeeded, but its output does not have the documented form.
    #[error("`git {command}` answered something not understood: {what}")]
    Unexpected {
        /// Git subcommand that was called, such as `fetch`.
        command: &'static str,
        /// What was wrong with the answer.
        what: &'static str,
    },
}

fn exit_text(code: Option<i32>) -> String {
    code.map_or_else(|| "signal".to_owned(), |c| format!("exit {c}"))
}

/// Why no usable git was found.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// No file named `git` that can be run is on the path.
    #[error("no `git` on the program path")]
    Missing,
    /// It is there but too old.
    #[error("git {found} is too old, {}.{} or newer is needed", GIT_VERSION_MIN.0, GIT_VERSION_MIN.1)]
    TooOld {
        /// What `git version` printed.
        found: String,
    },
    /// It is there but does not run.
    #[error("git does not run")]
    Broken(#[source] GitError),
}

/// A git program found and checked once; cheap to clone and pass around.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    path: OsString,
    version: String,
}

impl Git {
    /// Finds git on `path` (the value of `PATH`) and checks its version.
    pub async fn find_on_path(path: &OsStr) -> Result<Self, LocateError> {
        let program = find_program(path, "git").ok_or(LocateError::Missing)?;
        let mut git = Self {
            program,
            path: path.to_owned(),
            version: String::new(),
        };
        let out = git
            .call("version", CallTarget::Nowhere)
            .run()
            .await
            .map_err(LocateError::Broken)?;
        let text = out.stdout_text();
        git.version = text.trim_start_matches("git version ").to_owned();
        let mut parts = git
            .version
            .split(['.', ' '])
            .map(|p| p.parse().unwrap_or(0));
        let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        debug!(program = %git.program.display(), version = git.version, "Found git {}", git.version);
        if found < GIT_VERSION_MIN {
            return Err(LocateError::TooOld { found: git.version });
        }
        Ok(git)
    }

    /// What `git version` printed, without its first words.
    pub fn version_text(&self) -> &str {
        &self.version
    }

    pub(crate) fn call<'a>(&'a self, command: &'static str, place: CallTarget<'a>) -> GitCall<'a> {
        GitCall::new(self, command, place)
    }
}

/// Which repository a call is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallTarget<'a> {
    /// None: the call needs no repository.
    Nowhere,
    /// A git directory without work tree: a mirror.
    Bare(&'a Path),
    /// A work tree whose git directory is its `.git`: a clone of ours.
    Work(&'a Path),
    /// A folder somewhere inside a user's repository.
    Inside(&'a Path),
}

/// The account a call runs as, when it is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepoOwner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl RepoOwner {
    /// The owner of `path` when we are root and the path is not root's.
    ///
    /// Git refuses other people's repositories, and what root writes there its owner could no
    /// longer change; so in a repository that belongs to somebody else root becomes that somebody.
    pub(crate) fn other_than_root(path: &Path) -> io::Result<Option<Self>> {
        let meta = std::fs::metadata(path)?;
        let foreign = rustix::process::geteuid().is_root() && meta.uid() != 0;
        Ok(foreign.then(|| Self {
            uid: meta.uid(),
            gid: meta.gid(),
        }))
    }
}

impl CallTarget<'_> {
    fn location_args(self) -> Vec<OsString> {
        let joined = |option: &str, path: &Path| {
            let mut text = OsString::from(option);
            text.push(path);
            text
        };
        match self {
            CallTarget::Nowhere => Vec::new(),
            CallTarget::Bare(dir) => vec![joined("--git-dir=", dir)],
            CallTarget::Work(dir) => vec![
                "-C".into(),
                dir.into(),
                joined("--git-dir=", &dir.join(".git")),
                joined("--work-tree=", dir),
            ],
            CallTarget::Inside(dir) => vec!["-C".into(), dir.into()],
        }
    }
}

/// The first file called `name` in the folders of `path` that can be run.
pub(crate) fn find_program(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| {
            std::fs::metadata(file)
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

/// Puts `content` into a file that nobody reads before the caller is done: no durable change.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    File::create(path)?.write_all(content)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that starts programs"
)]
fn start_program(program: &Path) -> Command {
    Command::new(program)
}
