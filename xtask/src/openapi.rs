//! Makes the committed descriptions of the APIs anew.

use std::fs;

use anyhow::{Context, Result};

use xtask::process::{command, output};

use crate::{Outcome, root};

/// The API of people and their programs.
pub(crate) const PUBLIC_API: &str = "docs/openapi.json";
/// The API of workers, on a socket of its own.
pub(crate) const WORKER_API: &str = "docs/openapi-worker.json";

/// Writes the descriptions that the server has of itself.
pub(crate) fn run() -> Result<Outcome> {
    write_description(PUBLIC_API, "public")?;
    write_description(WORKER_API, "worker")?;
    Ok(Outcome::Done)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a generated file of the repository, which git restores"
)]
fn write_description(file: &str, api: &str) -> Result<()> {
    let described = output(
        command("cargo")
            .args(["run", "--quiet", "--locked", "--package", "omoi-server"])
            .args(["--example", "print_openapi", "--", api])
            .current_dir(root()),
    )
    .with_context(|| format!("could not print the description of the {api} API"))?;
    fs::write(root().join(file), described.stdout)
        .with_context(|| format!("could not write {file}"))?;
    println!("{file} is made anew");
    Ok(())
}
