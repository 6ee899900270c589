//! A person at the terminal: Ctrl-C in the middle of an agent's work, and the questions before it.

use std::time::{Duration, Instant};

use crate::binary::Running;
use crate::story;
use crate::world::World;

/// How long the agent's second answer takes.
const SLOW: Duration = Duration::from_secs(6);

/// The first task's second answer comes late.
pub(crate) fn slow(scenario: String) -> String {
    slowed_task(&scenario, "TSK-001", SLOW)
}

/// The second answer to `task` comes after `delay`.
pub(crate) fn slowed_task(scenario: &str, task: &str, delay: Duration) -> String {
    let rule = "  - when: {role: implementer, turn: 1..}\n";
    let late = format!(
        "  - when: {{role: implementer, task: {task}, turn: 1}}\n    reply:\n      - delay_ms: {}\n      \
         - text: \"Done.\\n\\nTASK_COMPLETE\"\n",
        delay.as_millis()
    );
    assert!(scenario.contains(rule));
    scenario.replace(rule, &format!("{late}{rule}"))
}

/// Waits until the first task's agent has written its file and the turn that did so is durable.
pub(crate) fn until_a_turn_is_saved(world: &World, run: &mut Running) {
    let wrote = |line: &str| line.contains("agent.file_edited") && line.contains("\"task\"");
    let is_saved = || story::attempts(&world.database(), "TSK-001") == ["running - saved"];
    while !(run.stdout().lines().any(wrote) && is_saved()) {
        assert!(
            !run.ends_within(Duration::from_millis(20)),
            "{}",
            run.stderr()
        );
    }
}

#[test]
fn an_interrupted_run_keeps_its_turns_and_goes_on_from_them() {
    let world = World::two_tasks_with(slow);
    let mut run = world.start(world.run(&["--yes"]));
    until_a_turn_is_saved(&world, &mut run);
    let asked = Instant::now();
    run.interrupt();
    let said = run.wait();
    assert!(asked.elapsed() < SLOW, "{:?} {said:?}", asked.elapsed());
    let database = world.database();
    let ended = story::attempts(&database, "TSK-001");
    assert_eq!(ended, ["interrupted shutdown_signal saved"], "{said:?}");
    // Whoever went away in the middle of a call did not take its record along.
    let open = story::one(&database, "select cast(count(*) as text) from open_calls");
    assert_eq!(open.as_deref(), Some("0"));
    assert_eq!(
        story::task_status(&database, "TSK-001").as_deref(),
        Some("pending")
    );

    // The same scenario by another name.
    let (folder, file) = (
        world.scenario().parent().unwrap(),
        world.scenario().file_name().unwrap(),
    );
    let around = folder.join("..").join(folder.file_name().unwrap());
    let mut again = world.command(&["spec", "resume", "SPEC-1", "--json"]);
    again.args(["--model", "simulated", "--scenario"]);
    again.arg(around.join(file));
    let said = world.start(again).wait().exited(0);
    assert_eq!(said.summary()["outcome"], "succeeded");
    let ended = story::attempts(&database, "TSK-001");
    assert_eq!(ended[1..], ["succeeded completion_signal saved"]);
    // The turn that was saved was not asked for again.
    let turns =
        "select cast(count(*) as text) from cost_entries c join attempts a on a.id = c.attempt_id
        join tasks t on t.id = a.task_id where t.local_id = 'TSK-001'";
    let asked: u32 = story::one(&database, turns).unwrap().parse().unwrap();
    assert!(
        (2..=3).contains(&asked),
        "{asked} model calls for two turns"
    );
}

/// Waits until the program asks `question`.
pub(crate) fn until_asked(run: &mut Running, question: &str) {
    while !run.stdout().contains(question) {
        assert!(
            !run.ends_within(Duration::from_millis(20)),
            "{}",
            run.stdout()
        );
    }
}

#[test]
fn a_person_decides_whether_a_red_suite_counts_from_here() {
    let question = "Begin all the same, and count new failures only? [y/N]";
    let world = World::two_tasks("scenario.yaml");
    world.repo.write(
        "test_old.py",
        "import unittest\n\n\nclass Old(unittest.TestCase):\n    def test_sum(self):\n        self.assertEqual(1 + 1, 3)\n",
    );
    world.repo.commit("Forget a sum");
    let run = world.simulated(world.ask_for_people(&["--yes"]));
    let mut no = world.start_on_terminal(&run);
    until_asked(&mut no, question);
    no.types("n\n");
    let said = no.wait().exited(3);
    assert!(said.stdout.contains("test_sum"), "{}", said.stdout);
    let calls = "select cast(count(*) as text) from cost_entries";
    let asked = story::one(&world.database(), calls);
    assert_eq!(asked.as_deref(), Some("0"), "a model was asked before");

    let go_on = world.simulated(world.command(&["spec", "resume", "SPEC-1"]));
    let mut yes = world.start_on_terminal(&go_on);
    until_asked(&mut yes, question);
    yes.types("y\n");
    let said = yes.wait().exited(0);
    assert!(said.stdout.contains("4 of 4 criteria"), "{}", said.stdout);
}

#[test]
fn ctrl_c_at_the_question_leaves_the_plan_waiting() {
    let world = World::two_tasks("scenario.yaml");
    let run = world.simulated(world.ask_for_people(&[]));
    let mut run = world.start_on_terminal(&run);
    until_asked(&mut run, "Build this? [y/N]");
    run.types("\u{3}");
    let said = run.wait().exited(3);
    let shown = said.stdout.rsplit_once("[y/N]").unwrap().1;
    assert!(
        shown.contains("The plan waits for you: omoi spec approve "),
        "{shown}"
    );
    let status = story::one(&world.database(), "select status from specs");
    assert_eq!(status.as_deref(), Some("completed"));
    let said = world.start(world.go_on("approve")).wait().exited(0);
    assert_eq!(said.summary()["outcome"], "succeeded");
}
