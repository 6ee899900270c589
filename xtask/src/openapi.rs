//! Makes `docs/openapi.json` anew.

use std::fs;

use anyhow::{Context, Result};

use xtask::process::{command, output};

use crate::{Outcome, root};

/// Where the description of the API is committed.
const FILE: &str = "docs/openapi.json";

/// Writes the description that the server has of itself.
#[expect(
    clippy::disallowed_methods,
    reason = "a generated file of the repository, which git restores"
)]
pub(crate) fn run() -> Result<Outcome> {
    let described = output(
        command("cargo")
            .args(["run", "--quiet", "--locked", "--package", "omoi-server"])
            .args(["--example", "print_openapi"])
            .current_dir(root()),
    )
    .context("could not print the description of the API")?;
    fs::write(root().join(FILE), described.stdout)
        .with_context(|| format!("could not write {FILE}"))?;
    println!("{FILE} is made anew");
    Ok(Outcome::Done)
}
