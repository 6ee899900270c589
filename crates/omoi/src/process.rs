//! The programs this crate starts itself.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program did not do what it was started for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// It could not be started.
    #[error("could not start `{program}`")]
    Start {
        /// Name of the program.
        program: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("`{program} {call}` failed: {said}")]
    Failed {
        /// Name of the program.
        program: &'static str,
        /// Arguments that it was called with.
        call: String,
        /// What it printed about it.
        said: String,
    },
}

/// Who a commit is by and when it was made, so that equal files give equal commits.
const IDENTITY: [(&str, &str); 6] = [
    ("GIT_AUTHOR_NAME", "OmoiOS"),
    ("GIT_AUTHOR_EMAIL", "omoi@localhost"),
    ("GIT_AUTHOR_DATE", "2025-01-01T00:00:00Z"),
    ("GIT_COMMITTER_NAME", "OmoiOS"),
    ("GIT_COMMITTER_EMAIL", "omoi@localhost"),
    ("GIT_COMMITTER_DATE", "2025-01-01T00:00:00Z"),
];

/// Runs git in `folder` with a fixed identity and nobody's configuration.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the module that starts programs"
)]
pub(crate) fn run_git(path: &OsStr, folder: &Path, arguments: &[&str]) -> Result<(), ProgramError> {
    let program = "git";
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs(IDENTITY)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ProgramError::Start { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(ProgramError::Failed {
        program,
        call: arguments.join(" "),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
