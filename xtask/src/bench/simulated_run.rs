//! A run of the example with two tasks, on the simulated model.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use xtask::process::{self, command};

use super::Bench;
use crate::root;

/// Repository and scenario of the run, as the tests of the whole program use them.
pub(super) const ASSETS: &str = "crates/omoi/tests/assets/two-tasks";
/// The scenario answers the same whatever the words.
const IDEA: &str = "say goodbye to people by name, and loudly on demand";

/// What is run and where.
pub(super) struct SimulatedRun<'a> {
    pub(super) program: &'a Path,
    pub(super) repository: PathBuf,
    /// The data folder: what an earlier run prepared there is found by the next.
    pub(super) data: PathBuf,
}

/// A run that succeeded.
pub(super) struct EndedRun {
    /// What it printed: a line of JSON per event, the summary last.
    pub(super) lines: String,
    /// Milliseconds from the start of the program to its end.
    pub(super) process_ms: f64,
}

impl SimulatedRun<'_> {
    /// Runs to the end; a run that does not succeed is an error.
    pub(super) fn finish(&self, bench: &Bench) -> Result<EndedRun> {
        let mut run = bench.pristine(self.program)?;
        run.args(["run", "--json", "--yes", "--model", "simulated"])
            .arg("--scenario")
            .arg(root().join(ASSETS).join("scenario.yaml"))
            .arg("--repo")
            .arg(&self.repository)
            .arg("--")
            .arg(IDEA)
            .env("OMOI_DATA_DIR", &self.data)
            .stdin(Stdio::null());
        let began = Instant::now();
        let output = process::output(&mut run)?;
        let process_ms = began.elapsed().as_secs_f64() * 1e3;
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let summary = lines.lines().last().unwrap_or_default();
        if !summary.contains("\"outcome\":\"succeeded\"") {
            bail!("the run did not succeed: {summary}");
        }
        Ok(EndedRun { lines, process_ms })
    }
}

/// Makes the example's repository at `to`, with what `add` writes beside its files.
pub(super) fn make_repository(to: &Path, add: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    copy(&root().join(ASSETS).join("repo"), to)?;
    add(to)?;
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &[
            "-c",
            "user.name=Bench",
            "-c",
            "user.email=bench@localhost",
            "commit",
            "--quiet",
            "-m",
            "base",
        ],
    ] {
        process::run(command("git").args(arguments).current_dir(to))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("could not create {}", to.display()))?;
    let entries =
        fs::read_dir(from).with_context(|| format!("could not list {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, copied): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &copied)?;
        } else {
            fs::copy(&path, &copied)
                .with_context(|| format!("could not copy {}", path.display()))?;
        }
    }
    Ok(())
}
