//! Agent programs that others make, from the idea to the proven merge: the real ones, in real sandboxes.

mod bad_days;
mod budgets;
mod declared;
mod guidance;
mod paid_provider;
mod parallel;
mod questions;
mod refusals;
mod traffic;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use omoi_testkit::agent_programs::{installed_program, programs_folder};
use serde_json::Value;

use self::guidance::{guidance_is_quoted_alone, world_with_guidance};
use self::paid_provider::{PAID_MODEL, ask_provider, serve_paid};
use self::questions::{kill_and_answer, was_answered_and_heard, with_question};
use crate::binary::{omoi, start};
use crate::elsewhere::as_somebody;
use crate::scenarios::is_the_demo;
use crate::story;

/// The demo, in which `agent`, installed as `program`, plans and works, for whoever runs the tests or, if
/// `by_somebody`, for a user who is not root. Its model speaks the wire format `dialect`.
fn does_the_demo(agent: &str, program: &str, dialect: &str, by_somebody: bool) {
    let folder = tempfile::Builder::new().prefix("omoi").tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let is_root = fs::metadata(&home).unwrap().uid() == 0;
    let mut demo = match by_somebody && is_root {
        true => as_somebody(folder.path(), &home),
        false => omoi(&home),
    };
    demo.env("OMOI_AGENTS_FOLDER", programs_folder().unwrap())
        .env("LLM_SIMULATED_DIALECT", dialect);
    let data = home.join("data");
    demo.args(["demo", "--json", "--agent", agent, "--data-dir"]);
    demo.arg(&data);
    let said = start(demo, folder.path().join("demo")).wait().exited(0);
    println!("{agent}: {:?}", said.took);
    is_the_demo(&said.summary());
    let database = format!("sqlite://{}?mode=ro", data.join("omoios.db").display());
    let version = installed_program(program).manifest.version;
    worked_alone(&database, agent, &version);
}

/// `run` with the programs of the tests, of which `agent` works on tasks and plans no more than the phases `planned`:
/// a slow one takes seconds of a core to start.
pub(crate) fn with_worker(mut run: Command, agent: &str, planned: &[&str]) -> Command {
    let phases = planned
        .iter()
        .map(|phase| format!(",phase={phase}; use={agent}"));
    let rules = format!(
        "role=implementer; use={agent}{}",
        phases.collect::<String>()
    );
    run.env("AGENTS_RULES", rules);
    with_programs(run)
}

/// `run` with the programs of the tests.
fn with_programs(mut run: Command) -> Command {
    run.env("OMOI_AGENTS_FOLDER", programs_folder().unwrap());
    run
}

/// Every task of a run is done and proven.
fn is_proven(summary: &Value) {
    assert_eq!(summary["outcome"], "succeeded", "{summary:#}");
    let criteria = &summary["criteria"];
    assert_eq!(criteria["proven"], criteria["total"], "{summary:#}");
    assert_eq!(summary["tasks"]["completed"], 2, "{summary:#}");
}

/// Nobody but `agent` took a turn of what `of_attempts` selects, and somebody did.
pub(crate) fn worked_on(database: &str, of_attempts: &str, agent: &str) {
    let workers = format!(
        "SELECT group_concat(DISTINCT agent) FROM attempts \
         WHERE {of_attempts} AND id IN (SELECT attempt_id FROM turns)"
    );
    assert_eq!(story::one(database, &workers).as_deref(), Some(agent));
}

/// Nobody but `agent` took a turn, none was taken twice, and each stands with the session of its program.
fn worked_alone(database: &str, agent: &str, version: &str) {
    let told = story::read(database);
    assert_eq!((told.repeated(), &told.left), (vec![], &vec![]));
    let others = format!(
        "SELECT count(*) || '' FROM attempts WHERE id IN (SELECT attempt_id FROM turns) \
         AND (agent <> '{agent}' OR agent_version <> '{version}' OR agent_session IS NULL)"
    );
    assert_eq!(story::one(database, &others).as_deref(), Some("0"));
}

#[test]
fn codex_does_the_demo() {
    does_the_demo("codex", "codex", "chat_completions", false);
}

/// A run of two tasks in which `agent` plans the last phase of the plan and works, among files that give it orders. Where it
/// `asks` a person, the platform is killed before the answer.
fn does_a_run(agent: &str, asks: bool) {
    let mut world = world_with_guidance();
    if asks {
        world.change_scenario(|scenario| with_question(&scenario));
    }
    let (url, requests) = serve_paid(world.scenario());
    let start = |command: Command| {
        let mut command = with_worker(command, agent, &["tasks"]);
        ask_provider(&mut command, &url);
        // A spec goes on with no model of this name that is paid.
        command.env("ANTHROPIC_MODEL", PAID_MODEL);
        world.start(command)
    };
    let (mut run, mut n_before) = (start(world.ask(&["--yes"])), 0);
    if asks {
        kill_and_answer(&world, run);
        n_before = requests.list_requests().len();
        run = start(world.command(&["spec", "resume", "SPEC-1", "--json"]));
    }
    let said = run.wait().exited(0);
    println!("{agent}: {:?}", said.took);
    is_proven(&said.summary());
    let database = world.database();
    let told = story::read(&database);
    assert_eq!((told.repeated(), &told.left), (vec![], &vec![]));
    for of_attempts in ["phase = 'tasks'", "subject = 'task'"] {
        worked_on(&database, of_attempts, agent);
    }
    guidance_is_quoted_alone(agent, &requests);
    if asks {
        was_answered_and_heard(&world, &requests, n_before);
    }
}

#[test]
fn claude_code_does_a_run() {
    does_a_run("claude-code", false);
}

#[test]
fn codex_does_a_run_in_which_it_asks_a_person() {
    does_a_run("codex", true);
}

#[test]
fn opencode_does_a_run() {
    does_a_run("acp:opencode", false);
}

/// Minutes, and half a gigabyte more: run by `cargo xtask agents --all` alone, by the profile `agents` of nextest.
mod with_all {
    use super::{does_a_run, does_the_demo};

    #[test]
    fn claude_code_does_the_demo_with_a_responses_model() {
        does_the_demo("claude-code", "claude-code", "responses", false);
    }

    #[test]
    fn claude_code_does_the_demo_without_root() {
        does_the_demo("claude-code", "claude-code", "messages", true);
    }

    #[test]
    fn codex_does_the_demo_without_root() {
        does_the_demo("codex", "codex", "responses", true);
    }

    #[test]
    fn opencode_does_the_demo() {
        does_the_demo("acp:opencode", "opencode", "messages", false);
    }

    #[test]
    fn opencode_does_the_demo_without_root() {
        does_the_demo("acp:opencode", "opencode", "messages", true);
    }

    #[test]
    fn the_claude_code_bridge_does_a_run() {
        does_a_run("acp:claude", false);
    }

    #[test]
    fn the_claude_code_bridge_does_the_demo() {
        does_the_demo("acp:claude", "claude-agent-acp", "messages", false);
    }

    #[test]
    fn the_claude_code_bridge_does_the_demo_without_root() {
        does_the_demo("acp:claude", "claude-agent-acp", "messages", true);
    }

    #[test]
    fn qwen_code_does_a_run() {
        does_a_run("acp:qwen", false);
    }

    #[test]
    fn qwen_code_does_the_demo() {
        does_the_demo("acp:qwen", "qwen-code", "messages", false);
    }

    #[test]
    fn qwen_code_does_the_demo_without_root() {
        does_the_demo("acp:qwen", "qwen-code", "messages", true);
    }
}
