//! Budgets without room for the next call: what is refused waits for a person, no round is spent, and the command that
//! the refusal names has the work go on.

use std::process::Command;

use super::paid_provider::{PAID_MODEL, serve_paid};
use super::{is_proven, with_programs, with_worker, worked_on};
use crate::story;
use crate::world::World;

/// `run` with a provider at `address` that is paid.
fn paid(mut run: Command, address: &str) -> Command {
    run.env("ANTHROPIC_BASE_URL", address)
        .env("ANTHROPIC_API_KEY", "of-a-test")
        .env("ANTHROPIC_MODEL", PAID_MODEL)
        .env("LLM_PRICES", format!("{PAID_MODEL}=1/1"));
    run
}

/// One run in which each of the budgets named by `variables`, with where it stops the work, is nothing at first. Tasks are
/// worked on by `agent`.
fn waits_for_each(agent: &str, variables: &[(&str, &str)]) {
    let world = World::two_tasks("scenario.yaml");
    let (address, _) = serve_paid(world.scenario());
    let rules = format!("role=implementer; use={agent}");
    let go_on = || {
        let resume = world.command(&["spec", "resume", "SPEC-1", "--json"]);
        let mut resume = paid(with_programs(resume), &address);
        // It counts for what begins from now on, the first attempt included.
        resume.env("AGENTS_RULES", &rules);
        resume
    };
    for (n, (variable, stopped)) in variables.iter().enumerate() {
        let mut run = match n {
            0 => paid(with_worker(world.ask(&["--yes"]), agent, &[]), &address),
            _ => go_on(),
        };
        run.env(variable, "0");
        let said = world.start(run).wait().exited(3);
        let summary = said.summary();
        let reason = summary["reason"].as_str().unwrap_or_default();
        for named in [*stopped, &format!("`{variable}=1 omoi spec resume ")] {
            assert!(reason.contains(named), "{agent}: {named}: {summary:#}");
        }
    }
    let mut last = go_on();
    let (variable, _) = variables.last().unwrap();
    last.env(variable, "1");
    let said = world.start(last).wait().exited(0);
    is_proven(&said.summary());
    let database = world.database();
    worked_on(&database, "subject = 'task'", agent);
    let counted = "SELECT cast(max(round + retry_count) AS text) FROM tasks";
    assert_eq!(story::one(&database, counted).as_deref(), Some("0"));
    let refused = "SELECT count(*) || '' FROM attempts WHERE stop_reason = 'max_cost_reached'";
    let refused = story::one(&database, refused).unwrap();
    assert_eq!(refused, variables.len().to_string(), "{agent}");
}

const TASK: (&str, &str) = (
    "AGENT_MAX_BUDGET_USD",
    "TSK-001 is blocked: budget_exceeded: the task has spent 0.0000 USD of its 0.00 USD; ",
);

#[test]
fn our_own_agent_waits_for_the_budgets_of_phase_task_and_spec() {
    waits_for_each(
        "native",
        &[
            (
                "SPEC_CFG_PHASE_BUDGET_USD",
                "budget_exceeded: the phase has spent 0.0000 USD of its 0.00 USD; ",
            ),
            TASK,
            (
                "SPEC_CFG_TOTAL_BUDGET_USD",
                "TSK-001 is blocked: budget_exceeded: the spec has spent ",
            ),
        ],
    );
}

#[test]
fn claude_code_waits_for_the_budget_of_its_task() {
    waits_for_each("claude-code", &[TASK]);
}

#[test]
fn codex_waits_for_the_budget_of_its_task() {
    waits_for_each("codex", &[TASK]);
}

/// Run by `cargo xtask agents --all` alone.
mod with_all {
    use super::{TASK, waits_for_each};

    #[test]
    fn opencode_waits_for_the_budget_of_its_task() {
        waits_for_each("acp:opencode", &[TASK]);
    }

    #[test]
    fn qwen_code_waits_for_the_budget_of_its_task() {
        waits_for_each("acp:qwen", &[TASK]);
    }
}
