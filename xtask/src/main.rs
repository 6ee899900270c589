//! Project automation: `cargo xtask <command>`.

mod agent_programs;
mod agent_quality;
mod api_fuzz;
mod bench;
mod demo;
mod fuzz_run;
mod gates;
mod models;
mod openapi;
mod routes;
mod running_server;
mod setup;
mod snapshots;
mod test;
mod test_servers;
mod tidy;
mod web;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
Project automation

usage: cargo xtask <command>

  demo [args…]              set up what is missing, build, run `omoi demo` with these arguments
                            on a data folder of its own in the build folder
  test [--fast] [filter…]   every check and every test, on all backends
                            --fast    format, tidy and tests only
                            filter    run only tests whose name contains one of these
       -p CRATE [filter…]   only the tests of one crate; compiles nothing that it does not need
  invariants                what the last test run told of the proofs of invariants, with figures
  servers <command…>        run a command with PostgreSQL, Redis and agent programs for its tests
  bench [part…]             what things cost beside a baseline of the same run; a table, never a verdict
                            part      api, sandbox, checkout, survey, map, up, run …; all when none is named
  gates [phase…] [--json]   what the gates of planning catch and refuse wrongly, measured with corpus/planning
                            or with `--corpus FOLDER`; fails when one misses its target
                            phase     explore, prd, requirements, design, tasks; all when none is named
  fuzz [--minutes N] [--seed N] [TARGET]
                            the parsers held against changed inputs, a minute each; more than 1 s or 256 MiB for
                            one input fails too. `cargo xtask test` replays what is committed in `tests/inputs`
  fuzz api [--minutes N] [--seed N]
                            schemathesis against a server that runs on what a demo leaves: 1,000 cases an operation,
                            or all that it can ask in so many minutes; an answer of 500, or one that the OpenAPI file
                            does not describe, fails
  matrix                    every operation of the API asked by nine callers on both databases, as a table; fails where one of
                            them gets or changes what is not theirs, or the right one is not served
  models                    make crates/omoi-llm/models.json anew: models, ends and prices
  routes                    what became of every route of the earlier API, and which promised ones are not
                            served: the list of fates held against the committed OpenAPI files
  events                    make docs/events.md anew: every event with its payload
  openapi                   make docs/openapi.json and docs/openapi-worker.json anew: the descriptions of the APIs
  service-map               make docs/service-map.md anew: which role runs which loop
  agent-quality             how good the native agent's tools are: edits, map, tools, transcripts and dialects held
                            against their targets; fetches releases of packages once, outside the clone
       --model NAME [--agent AGENT …]
                            30 small tasks with hidden checks, solved with that model by the native agent and by
                            Claude Code: solved, turns, tokens, cost. Needs the model's key and spends money;
                            `simulated` answers two tasks from a script
  agents [--all | --pin]    install the agent programs that tests run, outside the clone
                            --all     the two that need Node too, another half gigabyte, and a whole run by each
                            --pin     make crates/omoi-programs/agents.json anew for the versions in it
  setup                     install what the tests need and do nothing else
  web                       make the types of the TypeScript client anew from docs/openapi.json, and check the client
  tidy                      the rules of this code base that no other tool knows
       --figures            what is counted about names, docs, logs and sizes, with the wanted values
       --list FIGURE        what stands behind one of them, each with its file and line
       --shrink             take off the lists of names what is not there any more
";

/// How a command ends when it does not fail.
enum Outcome {
    Done,
    /// Something was checked and found wrong; it has been printed already.
    Refused,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let outcome = match command {
        "demo" => demo::run(rest),
        "test" => match test::Options::parse(rest) {
            Ok(options) => Ok(test::run(&options)),
            Err(problem) => return misused(&problem),
        },
        "bench" => match bench::parts(rest) {
            Ok(parts) => bench::run(&parts),
            Err(problem) => return misused(&problem),
        },
        "servers" => match rest.split_first() {
            Some((program, arguments)) => test_servers::run(program, arguments),
            None => return misused("`servers` needs a command to run"),
        },
        "fuzz" => match fuzz_run::FuzzOptions::parse(rest) {
            Ok(options) => fuzz_run::run(&options),
            Err(problem) => return misused(&problem),
        },
        "gates" => gates::run(rest),
        "invariants" => xtask::invariants::print_last(&root()).map(|()| Outcome::Done),
        "matrix" => test::run_matrix(),
        "models" => models::run(),
        "openapi" => openapi::run(),
        "agent-quality" => match agent_quality::QualityMode::parse(rest) {
            Ok(mode) => agent_quality::run(&mode),
            Err(problem) => return misused(&problem),
        },
        "agents" => match agent_programs::AgentsMode::parse(rest) {
            Ok(mode) => agent_programs::run(mode),
            Err(problem) => return misused(&problem),
        },
        "setup" => setup::everything().map(|()| Outcome::Done),
        "routes" => routes::run(),
        "events" => tidy::run(&tidy::TidyMode::EventPage),
        "service-map" => tidy::run(&tidy::TidyMode::ServiceMap),
        "tidy" => match tidy::TidyMode::parse(rest) {
            Ok(mode) => tidy::run(&mode),
            Err(problem) => return misused(&problem),
        },
        "web" => web::run(web::WebMode::Write),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(Outcome::Done)
        }
        unknown => return misused(&format!("there is no command `{unknown}`")),
    };
    ended(outcome)
}

fn ended(outcome: Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn misused(problem: &str) -> ExitCode {
    eprintln!("error: {problem}\n\n{USAGE}");
    ExitCode::from(2)
}

/// The top folder of the clone.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap_or_else(|_| PathBuf::from("."))
}
