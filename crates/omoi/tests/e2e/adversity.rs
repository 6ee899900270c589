//! Runs in the face of what cannot be helped: a model with bad days, a repository in no good shape.

use serde_json::Value;

use crate::story;
use crate::world::World;

/// Puts a fault before the first answer of whoever `when` describes.
fn with_fault(scenario: &str, when: &str, fault: &str) -> String {
    let rule = format!("  - when: {{{when}}}\n");
    assert!(scenario.contains(&rule), "no rule for {when}");
    scenario.replacen(&rule, &format!("{rule}    fault: {fault}\n"), 1)
}

#[test]
fn a_run_outlasts_a_model_with_bad_days() {
    let faults = [
        (
            "role: planner, phase: explore",
            "{status: 429, retry_after_s: 1}",
        ),
        (
            "role: planner, phase: prd",
            "{stream_error: overloaded_error}",
        ),
        (
            "role: planner, phase: requirements",
            "{cut_after_bytes: 300}",
        ),
        ("role: planner, phase: design", "{broken_json: body}"),
        (
            "role: planner, phase: tasks",
            "[{status: 503}, {broken_json: tool_input}]",
        ),
        (
            "role: implementer, task: TSK-001, turn: 0",
            "[{status: 529}, {cut_after_bytes: 200}]",
        ),
    ];
    let world = World::two_tasks_with(|scenario| {
        let add = |text: String, (when, fault): (&str, &str)| with_fault(&text, when, fault);
        faults.into_iter().fold(scenario, add)
    });
    let said = world.start(world.run(&["--yes"])).wait().exited(0);
    let summary = said.summary();
    assert_eq!(summary["criteria"]["proven"], 4, "{summary:#}");
    // A provider's bad day is no fault of the work: nothing was tried once more for it.
    for (phase, run) in summary["phases"].as_object().unwrap() {
        assert_eq!(run["attempts"], 1, "{phase}: {summary:#}");
    }
    let told = story::read(&world.database());
    assert_eq!((told.repeated(), &told.left), (vec![], &vec![]));
}

#[test]
fn a_model_that_only_talks_ends_the_plan_with_a_reason() {
    let world = World::two_tasks_with(|scenario| {
        let (before, rest) = scenario.split_once("    reply:\n").unwrap();
        let (_, after) = rest.split_once("  - when:").unwrap();
        let talk = "    reply: [{text: Certainly! What a fine idea.}]\n";
        format!("{before}{talk}  - when:{after}")
    });
    let said = world.start(world.run(&["--yes"])).wait().exited(1);
    let summary = said.summary();
    let reason = summary["reason"].as_str().unwrap();
    let start = "phase explore failed after 3 attempts: ";
    assert!(reason.starts_with(start), "{summary:#}");
    assert!(reason.len() > start.len() + 20, "{summary:#}");
    assert_eq!(summary["phases"]["explore"]["attempts"], 3, "{summary:#}");
    assert_eq!(summary["head"], Value::Null);
}

#[test]
fn a_repository_without_tests_on_no_branch_is_worked_on_with_notes() {
    let world = World::two_tasks_with(|scenario| scenario.replace("test_greet.py", "sample.py"));
    world.repo.git(&["mv", "test_greet.py", "sample.py"]);
    world
        .repo
        .write(".gitattributes", "*.bin filter=lfs -text\n");
    let link = format!("160000,{},lib", world.repo.head());
    world.repo.git(&["add", ".gitattributes"]);
    world
        .repo
        .git(&["update-index", "--add", "--cacheinfo", &link]);
    world
        .repo
        .git(&["commit", "--quiet", "--message", "Test nothing"]);
    world.repo.git(&["checkout", "--quiet", "--detach"]);
    world
        .repo
        .write("greet.py", "\"\"\"Work in progress.\"\"\"\n");
    let said = world.start(world.run(&["--yes"])).wait().exited(0);
    let summary = said.summary();
    let notes = summary["notes"].as_array().unwrap();
    let all = [
        "uncommitted changes",
        "HEAD is detached",
        "no test command",
        "submodules are not fetched, their folders stay empty: lib",
        "`.gitattributes` keeps in Git LFS",
    ];
    for expected in all {
        let told = |note: &Value| note.as_str().unwrap().contains(expected);
        assert!(notes.iter().any(told), "{expected}: {summary:#}");
    }
    assert_eq!(summary["criteria"]["proven"], 4, "{summary:#}");
    // What was not committed is no part of the work.
    let branch = summary["branch"].as_str().unwrap();
    let theirs = world.repo.git(&["show", &format!("{branch}:greet.py")]);
    assert!(theirs.contains("def greet"), "{theirs}");
}
