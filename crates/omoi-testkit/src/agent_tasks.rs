//! Small tasks with hidden checks, and what an agent makes of them: a run of `omoi` from the request to the branch, on
//! which the check that nobody was shown is run.
//!
//! The tasks lie in `corpus/agent-quality/tasks`, each with a solution of ours that its check accepts.

mod task_file;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::Value;
use xtask::process::{self, command};

use crate::raw_connection::RawConnection;

pub use self::task_file::{AgentTask, agent_tasks};

/// Turns that agents took; a resumed attempt has those of the one before it too.
const TURNS: &str =
    "select cast(count(*) as text) from turns t join attempts a on a.id = t.attempt_id
    where a.agent is not null";

/// Who is given a task.
pub struct TaskAgent<'a> {
    /// The program `omoi`, in the environment that it is to have.
    pub omoi: &'a dyn Fn() -> Command,
    /// What plans and works, as `--agent` names it.
    pub agent: String,
    /// The model, as `--model` names it.
    pub model: String,
    /// What the simulated model says.
    pub scenario: Option<PathBuf>,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentTaskResult {
    /// The task's name.
    pub task: String,
    /// What worked on it.
    pub agent: String,
    /// The model behind it.
    pub model: String,
    /// Whether that was the simulated model, whose figures say nothing of any other.
    pub is_simulated: bool,
    /// Whether the hidden check passes on what was delivered.
    pub is_solved: bool,
    /// How the run ended, in the words of its summary.
    pub outcome: String,
    /// Turns of agents, planning included.
    pub turns: u64,
    /// Tokens in and out.
    pub tokens: u64,
    /// Billionths of a dollar.
    pub cost_nanousd: u64,
    /// Milliseconds from the request to the end.
    pub wall_ms: u64,
}

impl TaskAgent<'_> {
    /// Has the agent work on `task`, in a folder that is removed afterwards.
    ///
    /// # Errors
    /// When the run did not begin, with what `omoi` said: no key, no such agent.
    pub fn attempt_task(&self, task: &AgentTask) -> Result<AgentTaskResult> {
        let folder = tempfile::tempdir().context("could not make a folder")?;
        let (data, repo) = (folder.path().join("data"), task.make_repository());
        let mut omoi = (self.omoi)();
        omoi.arg("--data-dir").arg(&data);
        omoi.args([
            "run",
            "--yes",
            "--json",
            "--agent",
            &self.agent,
            "--model",
            &self.model,
        ]);
        if let Some(scenario) = &self.scenario {
            omoi.arg("--scenario").arg(scenario);
        }
        omoi.arg("--repo").arg(repo.path()).arg(&task.request);
        let output = omoi.output().context("could not start `omoi`")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let last = said.lines().next_back().unwrap_or_default();
        let summary: Value = serde_json::from_str(last).unwrap_or_default();
        if summary["type"] != "summary" {
            // With `--json` a refusal is the last line of the answer.
            let why = String::from_utf8_lossy(&output.stderr);
            bail!(
                "the run of `{}` did not begin:\n{}\n{last}",
                task.name,
                why.trim()
            );
        }
        let number = |key: &str| summary[key].as_u64().unwrap_or(0);
        let text = |key: &str| summary[key].as_str().unwrap_or_default().to_owned();
        let is_delivered = summary["head"].is_string() && summary["outcome"] == "succeeded";
        let checkout = folder.path().join("checkout");
        if is_delivered {
            check_out(repo.path(), &text("branch"), &checkout)?;
        }
        Ok(AgentTaskResult {
            task: task.name.clone(),
            agent: self.agent.clone(),
            model: self.model.clone(),
            is_simulated: summary["model_kind"] == "simulated",
            is_solved: is_delivered && task.passes_check(&checkout)?,
            outcome: text("outcome"),
            turns: count_turns(&data)?,
            tokens: number("tokens"),
            cost_nanousd: number("cost_nanousd"),
            wall_ms: number("wall_ms"),
        })
    }
}

/// The files of `branch` at `place`, without the plan's.
fn check_out(repo: &Path, branch: &str, place: &Path) -> Result<()> {
    let mut git = command("git");
    git.args(["clone", "--quiet", "--branch", branch]);
    process::output(git.arg(repo).arg(place))?;
    let plan = place.join(".omoi_os");
    if plan.exists() {
        fs::remove_dir_all(plan).context("could not remove the plan's files")?;
    }
    Ok(())
}

fn count_turns(data: &Path) -> Result<u64> {
    let url = format!("sqlite:{}", data.join("omoios.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start a runtime")?;
    let counted = runtime.block_on(async {
        let mut db = RawConnection::open(&url).await?;
        let counted = db.texts(TURNS).await?;
        db.close().await?;
        Ok::<_, anyhow::Error>(counted)
    });
    let counted = counted.context("could not count the turns")?;
    let counted = counted.first().and_then(|count| count.parse().ok());
    counted.context("the database told no number of turns")
}

/// The results of each agent under each other, its sums last.
pub fn render_results(results: &[AgentTaskResult]) -> String {
    let mut agents: Vec<&str> = results.iter().map(|result| result.agent.as_str()).collect();
    agents.dedup();
    let row = |name: &str, fields: [String; 5]| {
        let [solved, turns, tokens, dollars, seconds] = fields;
        format!("{name:<34}  {solved:>8}  {turns:>6}  {tokens:>10}  {dollars:>9}  {seconds:>7}\n")
    };
    let mut table = row(
        "task",
        ["solved", "turns", "tokens", "USD", "s"].map(str::to_owned),
    );
    for agent in agents {
        let own = || results.iter().filter(|result| result.agent == agent);
        for result in own() {
            let solved = if result.is_solved {
                "yes"
            } else {
                &result.outcome
            };
            table += &row(
                &format!("{agent} {}", result.task),
                figures(solved, &[result]),
            );
        }
        let all: Vec<&AgentTaskResult> = own().collect();
        let n_solved = own().filter(|result| result.is_solved).count();
        let solved = format!("{n_solved}/{}", all.len());
        table += &row(&format!("{agent} in all"), figures(&solved, &all));
    }
    if results.iter().any(|result| result.is_simulated) {
        table += "simulated: a script answered, so these figures say nothing about any model\n";
    }
    table
}

fn figures(solved: &str, results: &[&AgentTaskResult]) -> [String; 5] {
    let sum =
        |of: fn(&AgentTaskResult) -> u64| results.iter().map(|result| of(result)).sum::<u64>();
    [
        solved.to_owned(),
        sum(|result| result.turns).to_string(),
        sum(|result| result.tokens).to_string(),
        format!("{:.4}", sum(|result| result.cost_nanousd) as f64 / 1e9),
        (sum(|result| result.wall_ms) / 1_000).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_sums_up_each_agent() {
        let result = |agent: &str, is_solved| AgentTaskResult {
            task: "slug".to_owned(),
            agent: agent.to_owned(),
            model: "m".to_owned(),
            is_simulated: false,
            is_solved,
            outcome: "blocked".to_owned(),
            turns: 4,
            tokens: 1_000,
            cost_nanousd: 20_000_000,
            wall_ms: 1_500,
        };
        let results = [
            result("native", true),
            result("native", false),
            result("claude-code", true),
        ];
        let table = render_results(&results);
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[2],
            ["native", "slug", "blocked", "4", "1000", "0.0200", "1"]
        );
        assert_eq!(
            lines[3],
            ["native", "in", "all", "1/2", "8", "2000", "0.0400", "3"]
        );
        assert_eq!(
            lines[5],
            [
                "claude-code",
                "in",
                "all",
                "1/1",
                "4",
                "1000",
                "0.0200",
                "1"
            ]
        );
        assert_eq!(lines.len(), 6);
    }
}
