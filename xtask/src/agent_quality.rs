//! `cargo xtask agent-quality`: how good the native agent's tools are, measured on releases of real packages.
//!
//! The measuring is done by programs of the crates that own the tools, each of which prints a measure per line;
//! this one fetches the releases, runs them and sets the figures beside their targets.

mod measure;
mod releases;
mod tasks;

use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask::process::{self, command};

use crate::test_servers::{NeededServers, TestServers};
use crate::{Outcome, root, setup};
use measure::Measure;

pub(crate) use tasks::TaskOptions;

/// Programs that measure: package, example, whether it is given the folder of releases.
const EXAMPLES: [(&str, &str, bool); 3] = [
    ("omoi-agent", "agent_quality_edits", true),
    ("omoi-repository-map", "agent_quality_map", true),
    ("omoi-agent", "agent_quality_transcripts", false),
];
/// The cases of tools, a line each, and how many there have to be.
const TOOL_CASES: &str = "crates/omoi-agent/tests/data/tool_cases.jsonl";
const TOOL_CASES_WANTED: usize = 300;
/// Tests by clients and programs that others made, with the dialects that they speak. Each has to run and pass.
const DIALECT_TESTS: [(&str, &str); 5] = [
    (
        "all three, by the vendors' SDKs",
        "vendor_clients::the_clients_of_both_vendors_understand_every_answer",
    ),
    (
        "all nine pairs through the gateway, by the vendors' SDKs",
        "vendor_clients::the_clients_of_both_vendors_understand_the_gateway_whatever_its_model_speaks",
    ),
    (
        "messages, by Claude Code",
        "agent_programs::claude_code_does_the_work_of_a_scenario",
    ),
    (
        "responses, by Codex",
        "agent_programs::codex_does_the_work_of_a_scenario",
    ),
    (
        "chat completions, by opencode",
        "agent_programs::opencode_does_the_work_of_a_scenario",
    ),
];

/// What `cargo xtask agent-quality` measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QualityMode {
    /// The tools, without a model.
    Tools,
    /// What agents solve with a model.
    Tasks(TaskOptions),
}

impl QualityMode {
    /// Reads the arguments after `agent-quality`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        match arguments {
            [] => Ok(Self::Tools),
            _ => TaskOptions::parse(arguments).map(Self::Tasks),
        }
    }
}

/// Measures what `mode` says.
pub(crate) fn run(mode: &QualityMode) -> Result<Outcome> {
    match mode {
        QualityMode::Tools => measure_tools(),
        QualityMode::Tasks(options) => tasks::run(options),
    }
}

/// Measures all, also after something failed, and prints one table.
fn measure_tools() -> Result<Outcome> {
    let folder = releases::fetch_all()?;
    let mut measures = Vec::new();
    let mut failures = Vec::new();
    let mut take = |what: &str, measured: Result<Vec<Measure>>| match measured {
        Ok(measured) => measures.extend(measured),
        Err(error) => failures.push(format!("{what} could not be measured: {error:#}")),
    };
    take("tool cases", tool_cases());
    for (package, example, takes_releases) in EXAMPLES {
        let releases = takes_releases.then_some(folder.as_path());
        take(example, run_example(package, example, releases));
    }
    take("dialects", dialects());
    println!("{}", measure::render_table(&measures));
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    let is_met = failures.is_empty() && measures.iter().all(Measure::is_met);
    Ok(if is_met {
        Outcome::Done
    } else {
        Outcome::Refused
    })
}

/// Runs an example of the build that the tests use too.
fn run_example(package: &str, example: &str, releases: Option<&Path>) -> Result<Vec<Measure>> {
    eprintln!("measuring {example} …");
    let mut cargo = command("cargo");
    cargo
        .args(["run", "--quiet", "--locked"])
        .args(["--package", package, "--example", example, "--"])
        .args(releases)
        .current_dir(root());
    let output = process::output(&mut cargo)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let measures: Option<Vec<Measure>> = text.lines().map(Measure::parse).collect();
    measures.with_context(|| format!("`{example}` printed what is no measure:\n{text}"))
}

/// Runs the tests of `target`, the words after `--package`, that `filters` name; gives what it said.
fn run_tests(target: &[&str], filters: &[&str]) -> Result<String> {
    let needed = NeededServers {
        agents: true,
        ..NeededServers::NONE
    };
    setup::servers(needed)?;
    let servers = TestServers::start(needed)?;
    let mut cargo = command("cargo");
    cargo
        .args(["test", "--locked", "--no-fail-fast", "--package"])
        .args(target)
        .arg("--")
        .args(filters)
        .current_dir(root());
    let output = servers.announce_to(&mut cargo).output();
    let output = output.context("could not start `cargo`")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if count_tests(&text, "passed") + count_tests(&text, "failed") == 0 {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("no test of {} ran:\n{said}", target.join(" "));
    }
    Ok(text)
}

/// Whether the test of this name ran in what a run said, and passed.
fn has_passed(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        line.strip_prefix("test ")
            .and_then(|line| line.strip_prefix(name))
            == Some(" ... ok")
    })
}

/// The number before `word` in the lines that sum a run up.
fn count_tests(text: &str, word: &str) -> usize {
    let results = text.lines().filter(|line| line.starts_with("test result:"));
    let counts = results.filter_map(|line| {
        let mut parts = line.split([';', '.']);
        let part = parts.find(|part| part.trim_end().ends_with(word))?;
        part.split_whitespace().next()?.parse::<usize>().ok()
    });
    counts.sum()
}

fn tool_cases() -> Result<Vec<Measure>> {
    eprintln!("measuring tool cases …");
    let cases = std::fs::read_to_string(root().join(TOOL_CASES))
        .context("could not read the tool cases")?;
    let cases = cases.lines().filter(|line| !line.trim().is_empty()).count();
    let said = run_tests(&["omoi-agent", "--lib"], &["tools::"])?;
    let failed = count_tests(&said, "failed") as f64;
    let failed = Measure::new("tools: tests of cases that fail", failed, 0.0);
    let wanted = TOOL_CASES_WANTED as f64;
    Ok(vec![
        Measure::new("tools: cases", cases as f64, wanted),
        failed,
    ])
}

fn dialects() -> Result<Vec<Measure>> {
    eprintln!("measuring dialects …");
    let names = DIALECT_TESTS.map(|(_, test)| test);
    let said = run_tests(&["omoi-llm", "--test", "it"], &names)?;
    let measures = DIALECT_TESTS.iter().map(|(dialect, test)| {
        let passed = f64::from(u8::from(has_passed(&said, test)));
        Measure::new(&format!("dialect: {dialect}"), passed, 1.0)
    });
    Ok(measures.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_over_all_their_runs() {
        let text = "running 3 tests\n...\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out; finished in 1.20s\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        assert_eq!(
            (count_tests(text, "passed"), count_tests(text, "failed")),
            (5, 1)
        );
    }

    #[test]
    fn a_test_that_did_not_run_has_not_passed() {
        let text =
            "test a::works ... ok\ntest a::breaks ... FAILED\ntest a::works_too ... ignored\n";
        for (name, expected) in [
            ("a::works", true),
            ("a::breaks", false),
            ("a::works_too", false),
            ("a::work", false),
            ("a::gone", false),
        ] {
            assert_eq!(has_passed(text, name), expected, "{name}");
        }
    }
}
