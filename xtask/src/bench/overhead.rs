//! How much of a whole run is ours: neither model nor agents' commands nor checks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use xtask::process::{self, command};

use super::Bench;
use super::account::{self, Account, Span};
use super::row::{Amount, Limit, Row, Target, Unit};
use crate::root;

const RUNS: usize = 5;
const WARM_UP: usize = 2;
/// Repository and scenario of the run, as the tests of the whole program use them.
const ASSETS: &str = "crates/omoi/tests/assets/two-tasks";
/// The scenario answers the same whatever the words.
const IDEA: &str = "say goodbye to people by name, and loudly on demand";

/// Prints milliseconds of end and duration of every command that agents ran, for the table that keeps
/// what workers report. Its ids are of the kind that begins with the milliseconds of their making.
const COMMANDS: &str = "
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    \"select event_id, data from agent_events where event_type = 'command.completed'\")
for event_id, data in rows:
    print(int(event_id.replace('-', '')[:12], 16), json.loads(data)['took_ms'])
";

/// One run, taken apart.
struct Measured {
    account: Account,
    model_calls: usize,
    model_ms: i64,
    checks: usize,
    commands: usize,
    process_ms: f64,
}

pub(super) fn measure(bench: &Bench, program: &Path) -> Result<Vec<Row>> {
    let mut runs = Vec::new();
    for round in 0..WARM_UP + RUNS {
        let measured = run(bench, program, round)?;
        if round >= WARM_UP {
            runs.push(measured);
        }
    }
    runs.sort_by(|a, b| a.account.wall.total_cmp(&b.account.wall));
    // One run and not a median of each part, so that its parts add up.
    let median = runs.swap_remove(RUNS / 2);
    Ok(vec![row(&median)])
}

fn row(run: &Measured) -> Row {
    let ms = |value: f64| Amount(value, Unit::Milliseconds);
    let account = &run.account;
    let share = Amount(account.share(), Unit::Percent);
    Row {
        figure: "our share of a run".to_owned(),
        ours: ms(account.ours),
        baseline: Some(ms(account.checks + account.commands)),
        compared: share.to_string(),
        target: Some(Target {
            limit: Limit::Most(2.0),
            reached: share,
            of: "of wall, model excluded",
        }),
        runs: format!("{RUNS} after {WARM_UP}"),
        baseline_is: format!(
            "the same run's own work: {} of {} checks, {} of {} commands of agents",
            ms(account.checks),
            run.checks,
            ms(account.commands),
            run.commands
        ),
        measured: format!(
            "`omoi run --model simulated` on {ASSETS}, the run of median wall time: wall {}, model {} \
             ({} calls, {} added up), process {}.\n              \
             Every instant counts once, as model before check before command; what is left is ours, and so are \
             checks on the base commit, which leave no times.\n              \
             A model that answers at once and checks that take moments leave nearly nothing but us: \
             this bounds what we add, it is not the share in a run with a real model.",
            ms(account.wall),
            ms(account.model),
            run.model_calls,
            ms(run.model_ms as f64),
            ms(run.process_ms),
        ),
    }
}

fn run(bench: &Bench, program: &Path, round: usize) -> Result<Measured> {
    let assets = root().join(ASSETS);
    let folder = bench.folder(&format!("run-{round}"));
    let repository = folder.join("repository");
    make_repository(&assets.join("repo"), &repository)?;
    let data = folder.join("data");
    let mut run = bench.pristine(program)?;
    run.args(["run", "--json", "--yes", "--model", "simulated"])
        .arg("--scenario")
        .arg(assets.join("scenario.yaml"))
        .arg("--repo")
        .arg(&repository)
        .arg("--")
        .arg(IDEA)
        .env("OMOI_DATA_DIR", &data)
        .stdin(Stdio::null());
    let began = Instant::now();
    let output = process::output(&mut run)?;
    let process_ms = began.elapsed().as_secs_f64() * 1e3;
    let lines = String::from_utf8_lossy(&output.stdout);
    let (whole, mut spans) = account::read(&lines)?;
    let summary = lines.lines().last().unwrap_or_default();
    if !summary.contains("\"outcome\":\"succeeded\"") {
        bail!("the run did not succeed: {summary}");
    }
    spans.commands = commands(&data)?;
    Ok(Measured {
        account: Account::of(whole, &spans),
        model_calls: spans.model.len(),
        model_ms: account::number(summary, "model_ms").context("the summary has no model_ms")?,
        checks: spans.checks.len(),
        commands: spans.commands.len(),
        process_ms,
    })
}

/// When agents' commands ran, from the run's database: the run has ended, nobody else has it open.
fn commands(data: &Path) -> Result<Vec<Span>> {
    let database = fs::read_dir(data)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "db"))
        .with_context(|| format!("no database in {}", data.display()))?;
    let output = process::output(command("python3").args(["-c", COMMANDS]).arg(&database))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let span = |line: &str| {
        let (ended, took) = line.split_once(' ')?;
        let (ended, took): (i64, i64) = (ended.parse().ok()?, took.parse().ok()?);
        Some(((ended - took) * 1_000, ended * 1_000))
    };
    let spans = text
        .lines()
        .map(|line| span(line).with_context(|| format!("odd line `{line}`")));
    spans.collect()
}

fn make_repository(from: &Path, to: &Path) -> Result<()> {
    copy(from, to)?;
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
