//! Starting other programs.

use std::ffi::OsStr;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use crate::host;

/// A command that finds the project's own tools after those of the machine.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where automation starts programs"
)]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    if let Ok(path) = std::env::join_paths(host::search_path()) {
        command.env("PATH", path);
    }
    // `cargo run` describes this package to this process; what it starts is not this package.
    for (name, _) in std::env::vars_os() {
        let described = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name
            .to_str()
            .is_some_and(|name| described.iter().any(|prefix| name.starts_with(prefix)))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` on this terminal until it ends.
///
/// # Errors
/// Fails when the program cannot be started or does not end with success.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("could not start `{}`", name(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(command));
    }
    Ok(())
}

/// Runs `command` and hands back what it printed.
///
/// # Errors
/// Fails when the program cannot be started or does not end with success; the message carries what
/// it said on its error stream.
pub fn output(command: &mut Command) -> Result<Output> {
    let output = command
        .output()
        .with_context(|| format!("could not start `{}`", name(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` ended with {}\n{}",
            line(command),
            output.status,
            said.trim_end()
        );
    }
    Ok(output)
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn line(command: &Command) -> String {
    let mut line = name(command);
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
