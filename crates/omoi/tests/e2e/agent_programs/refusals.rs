//! What is refused to real programs in real sandboxes: a write outside, and answers of their provider. Each attempt ends
//! with the outcome and the class of its reason.

use std::fs;

use super::{is_proven, with_programs, with_worker};
use crate::adversity::with_fault;
use crate::story;
use crate::world::World;

/// A provider that refuses, and how the attempt that meets it ends: state, reason to stop, class.
const FAILURES: [(&str, &str); 2] = [
    ("{status: 401, times: 100}", "failed error auth_failed"),
    ("{status: 500, times: 100}", "failed error upstream_5xx"),
];
/// One whose limit ends before long.
const LIMITED: &str = "{status: 429, retry_after_s: 2}";
/// The rule whose answers fail: what follows the first turn of each task.
const LATER: &str = "role: implementer, turn: 1..";

/// A path outside of the workspace, as seen from there.
const OUTSIDE: &str = "../outside.txt";

/// The scenario whose first agent writes outside before it works, and does not when it is sent back for that.
fn writes_outside(scenario: &str) -> String {
    let rule = "  - when: {role: implementer, task: TSK-001, turn: 0}\n    reply:\n";
    let (_, rest) = scenario.split_once(rule).unwrap();
    let (work, _) = rest.split_once("  - when:").unwrap();
    let first = "  - when: {role: implementer, task: TSK-001, round: 1, turn: 0}\n    reply:\n";
    let write =
        format!("      - tool: {{name: write, input: {{path: {OUTSIDE}, content: out}}}}\n");
    scenario.replace(rule, &format!("{first}{write}{work}{rule}"))
}

/// How the attempts at the first task ended: state, reason to stop, class.
fn attempt_ends(world: &World) -> Vec<String> {
    let ends = "SELECT group_concat(line, '|') FROM (SELECT a.state || ' ' || coalesce(a.stop_reason, '-') || ' ' \
                || coalesce(a.error_class, '-') AS line FROM attempts a JOIN tasks t ON t.id = a.task_id \
                WHERE t.local_id = 'TSK-001' AND a.subject = 'task' ORDER BY a.attempt_no)";
    let ends = story::one(&world.database(), ends).unwrap_or_default();
    ends.split('|').map(str::to_owned).collect()
}

/// One run in which `agent` meets the first `n_failures` of the table one after the other and, after all of them, a limit
/// and an answer.
fn ends_as_named(agent: &str, n_failures: usize) {
    let mut world = World::two_tasks("scenario.yaml");
    world.change_scenario(|scenario| writes_outside(&scenario));
    let healthy = fs::read_to_string(world.scenario()).unwrap();
    let mut wanted = Vec::new();
    for (fault, end) in &FAILURES[..n_failures] {
        fs::write(world.scenario(), with_fault(&healthy, LATER, fault)).unwrap();
        let mut run = match wanted.is_empty() {
            true => with_worker(world.run(&["--yes"]), agent, &[]),
            false => with_programs(world.go_on("resume")),
        };
        run.env("LLM_RETRY_TIME", "1").env("LLM_OUTAGE_WAIT", "0");
        let said = world.start(run).wait().exited(3);
        wanted.push((*end).to_owned());
        assert_eq!(attempt_ends(&world), wanted, "{agent}: {said:?}");
        let (_, class) = end.rsplit_once(' ').unwrap();
        let reason = said.summary()["reason"].to_string();
        let named = format!("TSK-001 is blocked: provider_unavailable ({class})");
        assert!(reason.contains(&named), "{agent}: {reason}");
    }
    assert_write_was_refused(&world, agent);
    if n_failures < FAILURES.len() {
        return;
    }

    fs::write(world.scenario(), with_fault(&healthy, LATER, LIMITED)).unwrap();
    let mut run = with_programs(world.go_on("resume"));
    run.env("LLM_RETRY_TIME", "1");
    let said = world.start(run).wait().exited(0);
    is_proven(&said.summary());
    let ends = attempt_ends(&world);
    wanted.push("interrupted provider_wait rate_limited".to_owned());
    // A task whose agent has tried to write outside by a tool is sent back once.
    let n_rounds = if agent == "codex" { 1 } else { 2 };
    let done = "succeeded completion_signal -".to_owned();
    wanted.resize(wanted.len() + n_rounds, done);
    assert_eq!(ends, wanted, "{agent}: {said:?}");
    let waits = "SELECT count(*) || '' FROM attempts WHERE stop_reason = 'provider_wait' AND wakes_at IS NULL";
    assert_eq!(story::one(&world.database(), waits).as_deref(), Some("0"));
}

/// The write outside was refused: by the driver, or by the sandbox alone where the program writes by a command.
fn assert_write_was_refused(world: &World, agent: &str) {
    let refused =
        "SELECT count(*) || '' FROM agent_events WHERE event_type = 'agent.policy_violation'";
    let refused = story::one(&world.database(), refused).unwrap();
    assert_eq!(refused == "0", agent == "codex", "{agent}: {refused}");
    let results = "SELECT t.tool_results FROM turns t JOIN attempts a ON a.id = t.attempt_id \
                   WHERE a.subject = 'task' ORDER BY a.attempt_no, t.n LIMIT 1";
    let results = story::one(&world.database(), results).unwrap();
    // A command tells the path only where it failed, and each program has words of its own.
    let words = [
        OUTSIDE,
        "rejected",
        "outside the workspace",
        "refused permission",
        "canceled by the user",
        "a rule which prevents",
    ];
    let is_told = words.iter().any(|word| results.contains(word));
    assert!(is_told, "{agent}: {results}");
}

#[test]
fn attempts_of_claude_code_end_as_named() {
    ends_as_named("claude-code", FAILURES.len());
}

#[test]
fn attempts_of_codex_end_as_named() {
    ends_as_named("codex", FAILURES.len());
}

#[test]
fn an_attempt_of_opencode_ends_as_named() {
    ends_as_named("acp:opencode", 1);
}

/// Run by `cargo xtask agents --all` alone.
mod with_all {
    use super::{FAILURES, ends_as_named};

    #[test]
    fn attempts_of_opencode_end_as_named() {
        ends_as_named("acp:opencode", FAILURES.len());
    }

    #[test]
    fn attempts_of_the_claude_code_bridge_end_as_named() {
        ends_as_named("acp:claude", FAILURES.len());
    }

    #[test]
    fn attempts_of_qwen_code_end_as_named() {
        ends_as_named("acp:qwen", FAILURES.len());
    }
}
