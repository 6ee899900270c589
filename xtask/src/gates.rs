//! `cargo xtask gates`: what the gates of planning catch and what they refuse wrongly.

use anyhow::{Context, Result};
use xtask::process::command;

use crate::{Outcome, root};

/// The measuring is done by a program of the crate that owns the gates; this one stays small.
pub(crate) fn run(arguments: &[String]) -> Result<Outcome> {
    let status = command("cargo")
        .args(["run", "--quiet", "--locked", "--package", "omoi-planning"])
        .args(["--example", "gates", "--"])
        .args(arguments)
        .current_dir(root())
        .status()
        .context("could not start `cargo`")?;
    Ok(if status.success() {
        Outcome::Done
    } else {
        Outcome::Refused
    })
}
