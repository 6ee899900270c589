//! `cargo xtask agent-quality --model NAME`: 30 small tasks with hidden checks, solved by our own loop and by Claude Code
//! over the same gateway.

use anyhow::{Context, Result};
use xtask::agents::{OWN_FOLDER_VARIABLE, folder};
use xtask::process::{self, command};

use crate::{Outcome, agent_programs, root, setup};

const PROGRAM: &str = "agent_quality_tasks";
const AGENTS: [&str; 2] = ["native", "claude-code"];
const TASKS: &str = "corpus/agent-quality/tasks";
const SIMULATED: &str = "simulated";
const SIMULATED_TASKS: &str = "corpus/agent-quality/simulated";
const SIMULATED_SCENARIO: &str = "crates/omoi/tests/assets/two-tasks/scenario.yaml";

/// Which model is measured, with which agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskOptions {
    model: String,
    agents: Vec<String>,
}

impl TaskOptions {
    /// Reads `--model NAME [--agent AGENT …]`.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, String> {
        let (mut model, mut agents) = (None, Vec::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next().filter(|value| !value.starts_with('-'));
                value
                    .cloned()
                    .ok_or_else(|| format!("`{argument}` needs a name"))
            };
            match argument.as_str() {
                "--model" => model = Some(value()?),
                "--agent" => agents.push(value()?),
                other => return Err(format!("`agent-quality` has no option `{other}`")),
            }
        }
        if agents.is_empty() {
            agents = AGENTS.map(str::to_owned).to_vec();
        }
        let model = model.ok_or("`agent-quality --agent` needs `--model NAME` too")?;
        Ok(Self { model, agents })
    }
}

/// Builds `omoi`, installs the agents and lets each solve all tasks; the table goes to standard output, the results as
/// JSON lines into a file beside the build.
pub(super) fn run(options: &TaskOptions) -> Result<Outcome> {
    let TaskOptions { model, agents } = options;
    setup::program()?;
    for agent in agents.iter().filter(|agent| *agent != "native") {
        agent_programs::install_for_agent(agent)?;
    }
    let build = ["build", "--locked", "--package", "omoi", "--bin", "omoi"];
    process::run(command("cargo").args(build).current_dir(root()))?;
    let own = std::env::current_exe().context("could not find the build folder")?;
    let file = own.with_file_name(format!("agent-quality-{}.jsonl", model.replace('/', "-")));
    let is_simulated = model == SIMULATED;
    let (tasks, scenario) = match is_simulated {
        true => (SIMULATED_TASKS, root().join(SIMULATED_SCENARIO)),
        false => (TASKS, "-".into()),
    };
    let mut cargo = command("cargo");
    cargo
        .args(["run", "--quiet", "--locked", "--package", "omoi"])
        .args(["--example", PROGRAM, "--"])
        .arg(own.with_file_name("omoi"))
        .arg(model)
        .arg(&file)
        .arg(root().join(tasks))
        .arg(scenario)
        .args(agents)
        .env(OWN_FOLDER_VARIABLE, folder()?)
        .current_dir(root());
    process::run(&mut cargo).context(
        "the tasks could not be measured; a model needs its key, as for `omoi run --model NAME`",
    )?;
    eprintln!("the results lie in {}", file.display());
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_name_a_model_and_perhaps_agents() {
        let parse = |line: &str| {
            let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            TaskOptions::parse(&arguments)
        };
        let options = |model: &str, agents: &[&str]| TaskOptions {
            model: model.to_owned(),
            agents: agents.iter().map(|agent| (*agent).to_owned()).collect(),
        };
        assert_eq!(parse("--model m"), Ok(options("m", &AGENTS)));
        assert_eq!(
            parse("--agent codex --model openai/m --agent native"),
            Ok(options("openai/m", &["codex", "native"]))
        );
        for wrong in ["--model", "--model --agent", "--agent native", "m", "--all"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
