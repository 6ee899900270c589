//! The releases that are measured on: fetched once by the registries' own clients, pinned by digest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xtask::host::{tools_folder, variable};
use xtask::process::{self, command};

use crate::root;

/// Registry, package, version and SHA-256 of each archive.
const LIST: &str = "corpus/agent-quality/releases.txt";

struct PinnedRelease<'a> {
    registry: &'a str,
    package: &'a str,
    version: &'a str,
    digest: &'a str,
}

/// The folder where every release of the list is unpacked; what is missing is fetched.
#[expect(
    clippy::disallowed_methods,
    reason = "a folder of tools, made anew at any time"
)]
pub(super) fn fetch_all() -> Result<PathBuf> {
    let folder = tools_folder()?.join("agent-quality");
    let list =
        fs::read_to_string(root().join(LIST)).context("could not read the list of releases")?;
    for line in list.lines() {
        let [registry, package, version, digest] = line.split(' ').collect::<Vec<_>>()[..] else {
            bail!("{LIST}: a line is registry, package, version and digest, not `{line}`");
        };
        let release = PinnedRelease {
            registry,
            package,
            version,
            digest,
        };
        let place = folder.join(registry).join(format!("{package}-{version}"));
        if !place.is_dir() {
            eprintln!("fetching {package} {version} …");
            fetch_one(&release, &folder, &place)
                .with_context(|| format!("could not fetch {package} {version}"))?;
        }
    }
    fs::write(folder.join("releases.txt"), list).context("could not write the list of releases")?;
    Ok(folder)
}

/// Fetches one archive and unpacks it; the folder appears when it is whole.
fn fetch_one(release: &PinnedRelease<'_>, folder: &Path, place: &Path) -> Result<()> {
    let scratch = folder.join(format!("fetching-{}", std::process::id()));
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let unpacked = scratch.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    let archive = match release.registry {
        "npm" => pack_npm(release, &scratch)?,
        "crates" => fetch_crate(release, &scratch)?,
        other => bail!("there is no registry `{other}`"),
    };
    let sum = process::output(command("sha256sum").arg(&archive))?;
    let sum = String::from_utf8_lossy(&sum.stdout);
    let sum = sum.split_whitespace().next().unwrap_or_default();
    if sum != release.digest {
        bail!("its SHA-256 is {sum}, and {LIST} says {}", release.digest);
    }
    let mut tar = command("tar");
    tar.args([
        "--extract",
        "--gzip",
        "--no-same-owner",
        "--strip-components=1",
        "--file",
    ]);
    process::run(tar.arg(&archive).arg("--directory").arg(&unpacked))?;
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(&unpacked, place)?;
    fs::remove_dir_all(&scratch)?;
    Ok(())
}

fn pack_npm(release: &PinnedRelease<'_>, scratch: &Path) -> Result<PathBuf> {
    let PinnedRelease {
        package, version, ..
    } = release;
    let mut npm = command("npm");
    npm.args(["pack", "--silent", "--ignore-scripts"]);
    process::output(npm.arg(format!("{package}@{version}")).current_dir(scratch))?;
    Ok(scratch.join(format!("{package}-{version}.tgz")))
}

/// Lets cargo fetch the one dependency of an empty package.
#[expect(clippy::disallowed_methods, reason = "a scratch folder of tools")]
fn fetch_crate(release: &PinnedRelease<'_>, scratch: &Path) -> Result<PathBuf> {
    let PinnedRelease {
        package, version, ..
    } = release;
    let manifest = format!(
        "[package]\nname = \"fetched\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         {package} = {{ version = \"={version}\", default-features = false }}\n"
    );
    fs::write(scratch.join("Cargo.toml"), manifest)?;
    fs::create_dir(scratch.join("src"))?;
    fs::write(scratch.join("src/lib.rs"), "")?;
    process::output(
        command("cargo")
            .args(["fetch", "--quiet"])
            .current_dir(scratch),
    )?;
    let home = match variable("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => Path::new(&variable("HOME").context("HOME is not set")?).join(".cargo"),
    };
    let name = format!("{package}-{version}.crate");
    for registry in fs::read_dir(home.join("registry/cache"))? {
        let archive = registry?.path().join(&name);
        if archive.is_file() {
            return Ok(archive);
        }
    }
    bail!("cargo fetched no {name}")
}
