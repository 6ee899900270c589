//! A run of two tasks on a large repository, beside the same run on a small one.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use xtask::process::command;

use super::row::{Amount, Limit, Row, Target, Unit, ratio};
use super::simulated_run::{self, SimulatedRun};
use super::{Bench, median, median_ms, timed};

/// Files beside those of the example: with them the small repository has 50.
const SMALL_FILES: usize = 47;
const LARGE_FILES: usize = 50_000;
/// Bytes of a file of the large repository: 200 MB in all.
const FILE_BYTES: usize = 4_000;
const FOLDER_FILES: usize = 100;
/// Runs on prepared checkouts, and runs that have to prepare them.
const WARM_RUNS: usize = 3;
const COLD_RUNS: usize = 3;

/// A repository and how long runs on it took, in milliseconds.
struct Measured {
    cold: f64,
    warm: f64,
}

pub(super) fn measure(bench: &Bench, program: &Path) -> Result<Vec<Row>> {
    let small = repository(bench, "small", SMALL_FILES)?;
    let large = repository(bench, "large", LARGE_FILES)?;
    let checkout = checkout_ms(bench, &large)?;
    let on_small = runs(bench, program, &small)?;
    let on_large = runs(bench, program, &large)?;
    Ok(vec![
        row(
            "layer there",
            on_large.warm,
            on_small.warm + checkout,
            &format!(
                "the same run on 50 files ({}) and one `git clone --shared` of the large one ({})",
                Amount(on_small.warm, Unit::Milliseconds),
                Amount(checkout, Unit::Milliseconds)
            ),
        ),
        row(
            "without a layer",
            on_large.cold,
            on_small.cold + 2.0 * checkout,
            &format!(
                "the same first run on 50 files ({}) and two `git clone --shared` of the large one",
                Amount(on_small.cold, Unit::Milliseconds)
            ),
        ),
    ])
}

fn row(state: &str, ours: f64, baseline: f64, baseline_is: &str) -> Row {
    Row {
        figure: format!("two-task run, {LARGE_FILES} files, {state}"),
        ours: Amount(ours, Unit::Milliseconds),
        baseline: Some(Amount(baseline, Unit::Milliseconds)),
        compared: ratio(ours, baseline),
        target: Some(Target {
            limit: Limit::Most(1.0),
            reached: Amount(ours / baseline, Unit::Times),
            of: "",
        }),
        runs: format!("{COLD_RUNS} without, {WARM_RUNS} with a layer"),
        baseline_is: baseline_is.to_owned(),
        measured: format!(
            "`omoi run --model simulated`, start to end of the program; {LARGE_FILES} source files of {FILE_BYTES} bytes \
             beside the example's"
        ),
    }
}

/// The example's repository with `files` sources beside its own.
fn repository(bench: &Bench, name: &str, files: usize) -> Result<PathBuf> {
    let path = bench.folder(&format!("{name}-run")).join("repository");
    simulated_run::make_repository(&path, |folder| write_sources(folder, files))?;
    Ok(path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a repository of the scratch folder, thrown away after the measurement"
)]
fn write_sources(folder: &Path, files: usize) -> Result<()> {
    for n in 0..files {
        let package = folder.join(format!("library/part{:03}", n / FOLDER_FILES));
        if n % FOLDER_FILES == 0 {
            fs::create_dir_all(&package)
                .with_context(|| format!("could not create {}", package.display()))?;
        }
        let mut text = format!("def step{n}(value):\n");
        while text.len() < FILE_BYTES {
            let line = text.len();
            let _ = writeln!(text, "    value = step{}(value, {line})", n / 2);
        }
        fs::write(package.join(format!("unit{n}.py")), text)
            .with_context(|| format!("could not write below {}", package.display()))?;
    }
    Ok(())
}

fn checkout_ms(bench: &Bench, repository: &Path) -> Result<f64> {
    let clones: Result<Vec<Duration>> = (0..WARM_RUNS)
        .map(|round| {
            let to = bench.folder(&format!("checkout-{round}"));
            let mut clone = command("git");
            clone.args(["clone", "--quiet", "--shared"]);
            let took = timed(clone.arg(repository).arg(&to))?;
            fs::remove_dir_all(&to)?;
            Ok(took)
        })
        .collect();
    Ok(median_ms(clones?))
}

/// Runs with data folders of their own, then more with the last of these.
fn runs(bench: &Bench, program: &Path, repository: &Path) -> Result<Measured> {
    let beside = repository
        .parent()
        .context("the repository has no folder")?;
    let run = |data: usize| {
        let run = SimulatedRun {
            program,
            repository: repository.to_owned(),
            data: beside.join(format!("data-{data}")),
        };
        Ok(run.finish(bench)?.process_ms)
    };
    let cold: Result<Vec<f64>> = (0..COLD_RUNS).map(run).collect();
    let warm: Result<Vec<f64>> = (0..WARM_RUNS).map(|_| run(COLD_RUNS - 1)).collect();
    Ok(Measured {
        cold: median(cold?),
        warm: median(warm?),
    })
}
