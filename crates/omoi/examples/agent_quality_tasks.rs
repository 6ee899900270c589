//! Has agents solve small tasks with hidden checks, and prints what each solved, its turns, tokens and costs.
//!
//! Run by `cargo xtask agent-quality --model NAME`; arguments: the program `omoi`, the model, the file that gets the
//! results as JSON lines, the folder of tasks, what the simulated model says or `-`, and the agents.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints its figures"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use omoi_testkit::agent_tasks::{TaskAgent, agent_tasks, render_results};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it starts the program, and keeps figures anew each time"
)]
fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [omoi, model, file, folder, scenario, agents @ ..] = arguments.as_slice() else {
        bail!("the arguments are OMOI MODEL FILE TASKS SCENARIO AGENT …");
    };
    let tasks = agent_tasks(Path::new(folder))?;
    let mut kept = File::create(file).with_context(|| format!("could not write {file}"))?;
    let omoi = || Command::new(omoi);
    let mut results = Vec::new();
    for agent in agents {
        let agent = TaskAgent {
            omoi: &omoi,
            agent: agent.clone(),
            model: model.clone(),
            scenario: (scenario != "-").then(|| PathBuf::from(scenario)),
        };
        for task in &tasks {
            eprintln!("{} works on {} …", agent.agent, task.name);
            let result = agent.attempt_task(task)?;
            writeln!(kept, "{}", serde_json::to_string(&result)?)?;
            results.push(result);
        }
    }
    println!("{}", render_results(&results));
    Ok(())
}
