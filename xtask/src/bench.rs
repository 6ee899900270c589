//! `cargo xtask bench`: what things cost, each beside something known that is measured in the same run.
//!
//! A missed target is printed and is no failure: figures depend on the machine, and a build server
//! that fails on a slow day teaches people to ignore it. Only a figure that could not be taken fails.

mod account;
mod api;
mod claim;
mod large_run;
mod overhead;
mod parts;
mod repository;
mod row;
mod simulated_run;
mod up;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use xtask::host;
use xtask::process::{self, command};

use crate::{Outcome, root, setup};
use row::Row;

/// One thing to measure.
pub(crate) struct Part {
    name: &'static str,
    /// The program it measures: package, kind of target, name.
    program: [&'static str; 3],
    /// Given the program as it is released.
    measure: fn(&Bench, &Path) -> Result<Vec<Row>>,
}

const PARTS: &[Part] = &[
    Part {
        name: "sandbox",
        program: ["omoi-sandbox", "--example", "bench_start"],
        measure: parts::sandbox_start,
    },
    Part {
        name: "checkout",
        program: ["omoi-execution", "--example", "bench_workspace"],
        measure: parts::workspace,
    },
    Part {
        name: "survey",
        program: ["omoi-git", "--example", "bench_survey"],
        measure: parts::survey,
    },
    Part {
        name: "map",
        program: ["omoi-execution", "--example", "bench_map"],
        measure: parts::repository_map,
    },
    Part {
        name: "store",
        program: ["omoi-store", "--example", "bench_statements"],
        measure: parts::statements,
    },
    Part {
        name: "claim",
        program: ["omoi-store", "--example", "bench_claims"],
        measure: claim::measure,
    },
    Part {
        name: "api",
        program: ["omoi", "--example", "bench_api"],
        measure: api::measure,
    },
    Part {
        name: "gateway",
        program: ["omoi-server", "--example", "bench_gateway"],
        measure: parts::gateway_stream,
    },
    Part {
        name: "installs",
        program: ["omoi-egress", "--example", "bench_installs"],
        measure: parts::installs,
    },
    Part {
        name: "up",
        program: ["omoi", "--bin", "omoi"],
        measure: up::measure,
    },
    Part {
        name: "run",
        program: ["omoi", "--bin", "omoi"],
        measure: overhead::measure,
    },
    Part {
        name: "large-run",
        program: ["omoi", "--bin", "omoi"],
        measure: large_run::measure,
    },
];

/// The parts that the arguments name; all when there are none.
pub(crate) fn parts(arguments: &[String]) -> Result<Vec<&'static Part>, String> {
    if arguments.is_empty() {
        return Ok(PARTS.iter().collect());
    }
    let named = |name: &String| {
        PARTS.iter().find(|part| part.name == name).ok_or_else(|| {
            let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
            format!("`bench` measures {}, not `{name}`", names.join(", "))
        })
    };
    arguments.iter().map(named).collect()
}

/// Measures every part, also after one failed, and prints one table.
pub(crate) fn run(parts: &[&Part]) -> Result<Outcome> {
    setup::program()?;
    build()?;
    let bench = Bench::new()?;
    let before = machine();
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for part in parts {
        eprintln!("measuring {} …", part.name);
        match (part.measure)(&bench, &bench.program(part)) {
            Ok(measured) => rows.extend(measured),
            Err(error) => failures.push(format!("{} could not be measured: {error:#}", part.name)),
        }
    }
    println!("{before}; medians, release build\n\n{}", row::table(&rows));
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    Ok(if failures.is_empty() {
        Outcome::Done
    } else {
        Outcome::Refused
    })
}

/// What the figures were taken on; another's work on the same machine shows in its load.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    format!("{cores} cores, load {load} before the start")
}

/// Where release builds and scratch folders are.
struct Bench {
    release: PathBuf,
    scratch: PathBuf,
}

impl Bench {
    fn new() -> Result<Self> {
        // Cargo puts the profiles side by side.
        let own = std::env::current_exe().context("could not find the build folder")?;
        let release = own
            .parent()
            .context("this program has no folder")?
            .with_file_name("release");
        let scratch = host::temporary_folder().join(format!("omoios-bench-{}", std::process::id()));
        fs::create_dir(&scratch)
            .with_context(|| format!("could not create {}", scratch.display()))?;
        Ok(Self { release, scratch })
    }

    fn program(&self, part: &Part) -> PathBuf {
        let [_, kind, name] = part.program;
        let folder = if kind == "--example" { "examples" } else { "" };
        self.release.join(folder).join(name)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// A command that sees none of the settings of the person at the keyboard.
    fn pristine(&self, program: &Path) -> Result<Command> {
        let mut command = command(program);
        command
            .env_clear()
            .env("PATH", std::env::join_paths(host::search_path())?)
            .env("XDG_CONFIG_HOME", self.folder("no-config"));
        if let Some(home) = host::variable("HOME") {
            command.env("HOME", home);
        }
        Ok(command)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// Builds what all parts measure, whichever are asked for: which features their crates have depends on what else
/// is built, and another set of parts would build nearly everything again.
fn build() -> Result<()> {
    let mut cargo = command("cargo");
    cargo.args(["build", "--locked", "--release"]);
    for part in PARTS {
        let [package, kind, name] = part.program;
        cargo.args(["--package", package, kind, name]);
    }
    process::run(cargo.current_dir(root()))
}

/// Runs `command` to its end, output thrown away.
fn timed(command: &mut Command) -> Result<Duration> {
    let began = Instant::now();
    process::output(command)?;
    Ok(began.elapsed())
}

fn median_ms(times: Vec<Duration>) -> f64 {
    median(times.iter().map(|time| time.as_secs_f64() * 1e3).collect())
}

/// The middle of `values`, of which there is at least one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
