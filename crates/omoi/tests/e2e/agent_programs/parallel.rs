//! Many Claude Codes at once, and one budget that has room for about half of them.

use std::fmt::Write as _;

use super::paid_provider::{ask_provider, serve_paid};
use super::{with_worker, worked_on};
use crate::story;
use crate::world::World;

/// Names how many work at once.
const WORKERS_VARIABLE: &str = "OMOI_PARALLEL_AGENTS";
/// As many do where nobody says.
const WORKERS: usize = 6;
/// Price of the model's tokens, in and out, in US dollars for a million.
const PRICE: &str = "simulated=1/1";
/// Tokens that each answer to a worker counts, in and out.
const ANSWER_TOKENS: (u64, u64) = (1_000, 30_000);
/// What a worker costs: it is answered twice.
const WORKER_USD: f64 = 0.062;
/// What the plan costs at most.
const PLAN_USD: f64 = 0.05;

/// The plan of two tasks with so many more beside the first that `n` can be worked on at once.
fn with_tasks_beside(scenario: &str, n: usize) -> String {
    let (mut names, mut tasks, mut rules) = (String::new(), String::new(), String::new());
    for number in 3..=n + 1 {
        let id = format!("TSK-{number:03}");
        write!(names, ", {id}").unwrap();
        let task = TASK
            .replace("{id}", &id)
            .replace("{n}", &number.to_string());
        tasks.push_str(&task);
        rules.push_str(
            &RULE
                .replace("{id}", &id)
                .replace("{n}", &number.to_string()),
        );
    }
    let usage = format!(
        "    usage: {{input: {}, output: {}}}\n",
        ANSWER_TOKENS.0, ANSWER_TOKENS.1
    );
    let replaced = [
        (
            "tasks: [TSK-001, TSK-002]",
            format!("tasks: [TSK-001, TSK-002{names}]"),
        ),
        (
            HOURS,
            format!("{tasks}{}", HOURS.replace('2', &(n + 1).to_string())),
        ),
        (LATER, format!("{rules}{LATER}")),
    ];
    let scenario = replaced
        .into_iter()
        .fold(scenario.to_owned(), |text, (old, new)| {
            assert_eq!(text.matches(old).count(), 1, "{old}");
            text.replace(old, &new)
        });
    let is_worker = |line: &&str| line.starts_with("  - when: {role: implementer");
    let lines = scenario.split_inclusive('\n');
    lines
        .map(|line| match is_worker(&line) {
            true => format!("{line}{usage}"),
            false => line.to_owned(),
        })
        .collect()
}

const HOURS: &str = "          - {section: total_estimated_hours, value: 2}\n";
const LATER: &str = "  - when: {role: implementer, turn: 1..}\n";
const TASK: &str = r#"          - section: tasks
            key: {id}
            value:
              id: {id}
              title: Say farewell {n}
              description: Add word{n}.py with a function that says goodbye by name in one sentence.
              parent_ticket: TKT-001
              type: implementation
              priority: MEDIUM
              estimated_hours: 1
              files_to_create: [word{n}.py]
              files_to_modify: []
              acceptance_criteria: [The check passes.]
              requirements_addressed: [REQ-BYE-FUNC-001]
              checks:
                - kind: proof
                  command: python3 -S check_word{n}.py
                  files:
                    check_word{n}.py: |
                      from word{n} import word
                      assert word("Ann") == "Goodbye, Ann."
                  criteria: ["REQ-BYE-FUNC-001#1", "REQ-BYE-FUNC-001#2"]
              dependencies: {depends_on: [], blocks: []}
"#;
const RULE: &str = r#"  - when: {role: implementer, task: {id}, turn: 0}
    reply:
      - tool:
          name: write
          input:
            path: word{n}.py
            content: |
              """A farewell."""


              def word(name):
                  return f"Goodbye, {name}."
"#;

/// Minutes: run by `cargo xtask agents --all` alone.
mod with_all {
    use super::exceed_no_budget;

    #[test]
    fn parallel_claude_codes_exceed_no_budget() {
        exceed_no_budget();
    }
}

/// Has as many Claude Codes work at once as the variable says.
fn exceed_no_budget() {
    let workers = std::env::var(WORKERS_VARIABLE).ok();
    let n = workers.map_or(WORKERS, |text| text.parse().unwrap());
    let world = World::two_tasks_with(|scenario| with_tasks_beside(&scenario, n));
    let budget = PLAN_USD + WORKER_USD * n as f64 / 2.0;
    let mut run = with_worker(world.ask(&["--yes"]), "claude-code", &[]);
    ask_provider(&mut run, &serve_paid(world.scenario()).0);
    run.env("LLM_PRICES", PRICE)
        .env("SPEC_CFG_TOTAL_BUDGET_USD", budget.to_string())
        .env("MAX_CONCURRENT_TASKS_PER_PROJECT", n.to_string())
        .env("MAX_CONCURRENT_AGENTS", n.to_string());
    let said = world.start(run).wait().exited(3);
    println!("{n} at once: {:?}", said.took);
    let summary = said.summary();
    let database = world.database();
    worked_on(&database, "subject = 'task'", "claude-code");
    let number = |query: &str| -> u64 {
        let found = story::one(&database, query);
        found.unwrap_or_default().parse().unwrap_or_default()
    };
    let spent = number("SELECT sum(cost_nanousd) || '' FROM cost_entries");
    let allowed = (budget * 1e9) as u64;
    assert!(spent <= allowed, "{spent} of {allowed}");
    assert!(spent > allowed / 3, "{spent} of {allowed}");
    let count = |of_attempts: &str| {
        number(&format!(
            "SELECT count(*) || '' FROM attempts WHERE subject = 'task' AND {of_attempts}"
        ))
    };
    let refused = count("state = 'failed' AND stop_reason = 'max_cost_reached'");
    let done = count("state = 'succeeded'");
    println!("{done} done, {refused} refused, {spent} of {allowed} spent");
    assert_eq!(count("true"), done + refused, "{summary:#}");
    assert!(refused > 0, "{summary:#}");
    let reason = summary["reason"].to_string();
    let named = "is blocked: budget_exceeded: the spec has spent ";
    assert!(reason.contains(named), "{summary:#}");
    let at_once = summary["max_parallel"].as_u64().unwrap();
    assert!(at_once * 2 >= n as u64, "{summary:#}");
    let told = story::read(&database);
    assert!(told.left.is_empty(), "{:?}", told.left);
}
