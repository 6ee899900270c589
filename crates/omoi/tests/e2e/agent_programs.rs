//! Agent programs that others make, from the idea to the proven merge: the real ones, in real sandboxes.

use omoi_testkit::agent_programs::{installed_program, programs_folder};

use crate::story;
use crate::world::World;

/// A run of two tasks in which `agent`, installed as `program`, plans and works.
fn does_a_run(agent: &str, program: &str) {
    let version = installed_program(program).manifest.version;
    let world = World::two_tasks("scenario.yaml");
    let mut run = world.run(&["--yes", "--agent", agent]);
    run.env("OMOI_AGENTS_FOLDER", programs_folder().unwrap());
    let said = world.start(run).wait().exited(0);
    println!("{agent}: {:?}", said.took);
    let summary = said.summary();
    assert_eq!(summary["outcome"], "succeeded", "{summary:#}");
    let criteria = &summary["criteria"];
    assert_eq!(criteria["proven"], criteria["total"], "{summary:#}");
    assert_eq!(summary["tasks"]["completed"], 2, "{summary:#}");
    let database = world.database();
    let told = story::read(&database);
    assert_eq!((told.repeated(), &told.left), (vec![], &vec![]));
    // Nobody else took a turn, and each turn stands with the session of its program.
    let others = format!(
        "SELECT count(*) || '' FROM attempts WHERE id IN (SELECT attempt_id FROM turns) \
         AND (agent <> '{agent}' OR agent_version <> '{version}' OR agent_session IS NULL)"
    );
    assert_eq!(story::one(&database, &others).as_deref(), Some("0"));
}

#[test]
fn claude_code_does_a_run() {
    does_a_run("claude-code", "claude-code");
}

#[test]
fn codex_does_a_run() {
    does_a_run("codex", "codex");
}

#[test]
fn opencode_does_a_run() {
    does_a_run("acp:opencode", "opencode");
}

/// Half a gigabyte more: run by `cargo xtask agents --all` alone, by the profile `agents` of nextest.
mod with_all {
    use super::does_a_run;

    #[test]
    fn the_claude_code_bridge_does_a_run() {
        does_a_run("acp:claude", "claude-agent-acp");
    }

    #[test]
    fn qwen_code_does_a_run() {
        does_a_run("acp:qwen", "qwen-code");
    }
}
