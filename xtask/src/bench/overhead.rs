//! How much of a whole run is ours: neither model nor agents' commands nor checks.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask::process::{self, command};

use super::account::{self, Account, AgentCommand, AttemptOverhead};
use super::row::{Amount, Limit, Row, Target, Unit};
use super::simulated_run::{self, ASSETS, SimulatedRun};
use super::{Bench, median};

const RUNS: usize = 5;
const WARM_UP: usize = 2;

/// Prints attempt, milliseconds of end and duration of every command that agents ran, for the table that keeps
/// what workers report. Its ids are of the kind that begins with the milliseconds of their making.
const COMMANDS: &str = "
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    \"select attempt_id, event_id, data from agent_events where event_type = 'command.completed'\")
for attempt, event_id, data in rows:
    print(attempt, int(event_id.replace('-', '')[:12], 16), json.loads(data)['took_ms'])
";

/// One run, taken apart.
struct Measured {
    account: Account,
    attempts: Vec<AttemptOverhead>,
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
    let mut rows = attempt_rows(&runs)?;
    // One run and not a median of each part, so that its parts add up.
    let median = runs.swap_remove(RUNS / 2);
    rows.insert(0, share_row(&median));
    Ok(rows)
}

/// What all attempts of agents in these runs cost beside model and commands.
fn attempt_rows(runs: &[Measured]) -> Result<Vec<Row>> {
    let attempts = || runs.iter().flat_map(|run| &run.attempts);
    let around: Vec<f64> = attempts().map(|attempt| attempt.around_ms).collect();
    let turns: Vec<f64> = attempts()
        .flat_map(|attempt| attempt.turns_ms.iter().copied())
        .collect();
    if around.is_empty() || turns.is_empty() {
        bail!("the runs had no attempt of more than one turn");
    }
    let row = |figure: &str, values: Vec<f64>, limit, measured: &str| {
        let runs = format!("{} in {RUNS} runs", values.len());
        let ours = Amount(median(values), Unit::Milliseconds);
        Row {
            figure: figure.to_owned(),
            ours,
            baseline: None,
            compared: "–".to_owned(),
            target: Some(Target {
                limit: Limit::Most(limit),
                reached: ours,
                of: "",
            }),
            runs,
            baseline_is: "none: model calls and commands are taken off".to_owned(),
            measured: measured.to_owned(),
        }
    };
    Ok(vec![
        row(
            "our share of an attempt",
            around,
            60.0,
            "attempts of agents, from `task.claimed` or `spec.phase_started` to the first model call, the workspace\n              \
             prepared in between, and from the last to `attempt.ended`",
        ),
        row(
            "our share of a turn",
            turns,
            5.0,
            "from the end of a model call to the beginning of the next of the attempt, its commands taken off: a model\n              \
             that answers at once hides nothing of what is done while one thinks",
        ),
    ])
}

fn share_row(run: &Measured) -> Row {
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
    let folder = bench.folder(&format!("run-{round}"));
    let run = SimulatedRun {
        program,
        repository: folder.join("repository"),
        data: folder.join("data"),
    };
    simulated_run::make_repository(&run.repository, |_| Ok(()))?;
    let ended = run.finish(bench)?;
    let (whole, mut spans) = account::read(&ended.lines)?;
    let commands = commands(&run.data)?;
    spans.commands = commands.iter().map(|command| command.span).collect();
    let summary = ended.lines.lines().last().unwrap_or_default();
    Ok(Measured {
        account: Account::of(whole, &spans),
        attempts: account::attempts(&ended.lines, &commands)?,
        model_calls: spans.model.len(),
        model_ms: account::number(summary, "model_ms").context("the summary has no model_ms")?,
        checks: spans.checks.len(),
        commands: spans.commands.len(),
        process_ms: ended.process_ms,
    })
}

/// When agents' commands ran, from the run's database: the run has ended, nobody else has it open.
fn commands(data: &Path) -> Result<Vec<AgentCommand>> {
    let database = fs::read_dir(data)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "db"))
        .with_context(|| format!("no database in {}", data.display()))?;
    let output = process::output(command("python3").args(["-c", COMMANDS]).arg(&database))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let command = |line: &str| {
        let (attempt, times) = line.split_once(' ')?;
        let (ended, took) = times.split_once(' ')?;
        let (ended, took): (i64, i64) = (ended.parse().ok()?, took.parse().ok()?);
        Some(AgentCommand {
            attempt: attempt.to_owned(),
            span: ((ended - took) * 1_000, ended * 1_000),
        })
    };
    let commands = text
        .lines()
        .map(|line| command(line).with_context(|| format!("odd line `{line}`")));
    commands.collect()
}
