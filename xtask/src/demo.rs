//! `cargo xtask demo`: sets up what is missing, builds `omoi` and becomes `omoi demo`.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use xtask::process::{self, command};

use crate::{Outcome, root, setup};

/// Does not return when all goes well: the process becomes the program, so that the terminal, its
/// signals and the exit code are the program's own.
pub(crate) fn run(arguments: &[String]) -> Result<Outcome> {
    setup::program()?;
    process::run(
        command("cargo")
            .args(["build", "--locked", "--package", "omoi"])
            .current_dir(root()),
    )?;
    // Cargo puts both programs of the workspace into the same folder.
    let program = std::env::current_exe()
        .context("could not find the build folder")?
        .with_file_name("omoi");
    let error = command(&program).arg("demo").args(arguments).exec();
    Err(error).with_context(|| format!("could not start {}", program.display()))
}
