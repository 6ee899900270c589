//! `cargo xtask agents`: the pinned agent programs, installed for the tests, and the list of them.
//!
//! Both are done by `omoi-programs`, whose code is behind `omoi agents install` too.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use xtask::agents;
use xtask::host::is_root;
use xtask::process::{self, command};

use crate::test_servers::{NeededServers, TestServers};
use crate::{Outcome, root, setup};

/// The list that is pinned.
const LIST: &str = "crates/omoi-programs/agents.json";

/// Programs that `cargo xtask test` runs.
const IN_TESTS: [&str; 4] = ["claude-code", "codex", "opencode", "node"];
/// Programs of half a gigabyte more.
const MORE: [&str; 2] = ["claude-agent-acp", "qwen-code"];
/// The profile of nextest that runs all of them.
const PROFILE: &str = "agents";
/// What their runs need.
const RUN_NEEDS: NeededServers = NeededServers {
    agents: true,
    ..NeededServers::NONE
};

/// What `cargo xtask agents` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentsMode {
    /// Installs what the tests run.
    Tests,
    /// Installs all, and lets each do a whole run.
    All,
    /// Makes the list anew.
    Pin,
}

impl AgentsMode {
    /// Reads the arguments after `agents`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        match arguments {
            [] => Ok(Self::Tests),
            [flag] if flag == "--all" => Ok(Self::All),
            [flag] if flag == "--pin" => Ok(Self::Pin),
            [other, ..] => Err(format!("`agents` has no option `{other}`")),
        }
    }
}

/// Does what `mode` says.
pub(crate) fn run(mode: AgentsMode) -> Result<Outcome> {
    match mode {
        AgentsMode::Tests => install_for_tests()?,
        AgentsMode::All => {
            install(&[&IN_TESTS[..], &MORE[..]].concat())?;
            run_all()?;
        }
        AgentsMode::Pin => pin_list()?,
    }
    Ok(Outcome::Done)
}

/// Makes sure that the programs of `cargo xtask test` are there, in the versions of the list.
pub(crate) fn install_for_tests() -> Result<()> {
    install(&IN_TESTS)
}

/// Makes sure that the Node of the tests is there.
pub(crate) fn install_node() -> Result<()> {
    install(&["node"])
}

/// Makes sure that the programs behind `agent`, as `--agent` names it, are there.
pub(crate) fn install_for_agent(agent: &str) -> Result<()> {
    match agent.strip_prefix("acp:").unwrap_or(agent) {
        program if IN_TESTS.contains(&program) => install_for_tests(),
        _ => install(&[&IN_TESTS[..], &MORE[..]].concat()),
    }
}

/// Whole runs by every program that is installed.
fn run_all() -> Result<()> {
    setup::tests_with(RUN_NEEDS)?;
    let servers = TestServers::start(RUN_NEEDS)?;
    let mut cargo = command("cargo");
    cargo
        .args(["nextest", "run", "--locked", "--package", "omoi"])
        .args(["--test", "e2e", "--profile", PROFILE])
        .current_dir(root());
    process::run(servers.announce_to(&mut cargo)).context("an agent program did not do its run")
}

/// Nothing is built where a file names the folders of these programs of this list, and they are there.
#[expect(clippy::disallowed_methods, reason = "a mark in the folder of tools")]
fn install(names: &[&str]) -> Result<()> {
    let folder = agents::folder()?;
    let list = fs::read_to_string(root().join(LIST)).context("could not read the list")?;
    let mark = folder.join(mark_name(&list, names));
    if is_complete(&folder, &mark) {
        return Ok(());
    }
    eprintln!("installing {} into {}", names.join(", "), folder.display());
    let mut install = programs("install");
    install.arg(&folder).args(names);
    if is_root() {
        // Sandboxes that root starts run as another user, who has to get here.
        install = under_open_umask(&install);
    }
    install.stderr(Stdio::inherit());
    let installed =
        process::output(&mut install).context("could not install the agent programs")?;
    fs::write(&mark, installed.stdout)
        .with_context(|| format!("could not write {}", mark.display()))
}

/// Whether every folder that `mark` names is there.
fn is_complete(folder: &Path, mark: &Path) -> bool {
    let named = fs::read_to_string(mark).unwrap_or_default();
    let mut names = named.lines();
    !named.is_empty() && names.all(|name| folder.join(name).join("content").is_dir())
}

/// One mark per list and set of programs.
fn mark_name(list: &str, names: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    (list, names).hash(&mut hasher);
    format!(".complete-{:016x}", hasher.finish())
}

/// The same command with folders that any user can enter.
fn under_open_umask(inner: &Command) -> Command {
    let mut shell = command("sh");
    shell.args(["-c", "umask 022; exec \"$0\" \"$@\""]);
    shell.arg(inner.get_program()).args(inner.get_args());
    shell.current_dir(root());
    shell
}

/// The program that installs and pins.
fn programs(what: &str) -> Command {
    let mut cargo = command("cargo");
    cargo
        .args(["run", "--quiet", "--locked", "--package", "omoi-programs"])
        .args(["--example", "programs", "--", what])
        .current_dir(root());
    cargo
}

/// Asks npm for the locks of programs that have dependencies, and the registries for digests and sizes.
#[expect(
    clippy::disallowed_methods,
    reason = "a generated file of the repository, which git restores"
)]
fn pin_list() -> Result<()> {
    let scratch = root().join("target/agents");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("could not clear target/agents")?;
    }
    let locks = process::output(&mut programs("locks"))?.stdout;
    for line in String::from_utf8_lossy(&locks).lines() {
        make_lock(&scratch, line)?;
    }
    let mut pin = programs("pin");
    let list = process::output(pin.arg(&scratch)).context("could not pin the programs")?;
    let file = root().join(LIST);
    let before = fs::read(&file).unwrap_or_default();
    fs::write(&file, &list.stdout).with_context(|| format!("could not write {LIST}"))?;
    let what = match before == list.stdout {
        true => "nothing changed",
        false => "changed",
    };
    println!("{LIST}: {what}");
    Ok(())
}

/// Runs npm for one line of `locks`: the program, its package and version.
#[expect(
    clippy::disallowed_methods,
    reason = "a scratch folder of the build folder"
)]
fn make_lock(scratch: &Path, line: &str) -> Result<PathBuf> {
    let mut words = line.split(' ');
    let mut word = || words.next().context("the list of locks cannot be read");
    let (program, package, version) = (word()?, word()?, word()?);
    let folder = scratch.join(program);
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    let manifest = format!("{{\"dependencies\": {{\"{package}\": \"{version}\"}}}}\n");
    fs::write(folder.join("package.json"), manifest).context("could not write a manifest")?;
    let mut npm = command("npm");
    npm.args(["install", "--package-lock-only", "--ignore-scripts"])
        .args(["--no-audit", "--no-fund"])
        .current_dir(&folder);
    process::output(&mut npm)
        .with_context(|| format!("could not resolve {package}: `npm` must work"))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_marks_tell_lists_and_sets_apart() {
        let parse = |word: &str| AgentsMode::parse(&[word.to_owned()]);
        assert_eq!(AgentsMode::parse(&[]), Ok(AgentsMode::Tests));
        assert_eq!(parse("--all"), Ok(AgentsMode::All));
        assert_eq!(parse("--pin"), Ok(AgentsMode::Pin));
        assert!(parse("--every").is_err());
        let mark = mark_name("list", &IN_TESTS);
        assert_eq!(mark, mark_name("list", &IN_TESTS));
        assert_ne!(mark, mark_name("other", &IN_TESTS));
        assert_ne!(mark, mark_name("list", &MORE));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a folder of the test")]
    fn a_program_that_was_removed_is_installed_again() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        assert!(!is_complete(folder.path(), &mark));
        // As it was written once.
        fs::write(&mark, "").unwrap();
        assert!(!is_complete(folder.path(), &mark));
        fs::write(&mark, "a\nb\n").unwrap();
        for name in ["a", "b"] {
            assert!(!is_complete(folder.path(), &mark));
            fs::create_dir_all(folder.path().join(name).join("content")).unwrap();
        }
        assert!(is_complete(folder.path(), &mark));
        fs::remove_dir_all(folder.path().join("b")).unwrap();
        assert!(!is_complete(folder.path(), &mark));
    }
}
