//! Runs in the face of what cannot be helped: a model with bad days, a repository in no good shape.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::binary::Said;
use crate::listener::Listener;
use crate::story;
use crate::world::{World, files_below};

/// Puts a fault before the first answer of whoever `when` describes.
pub(crate) fn with_fault(scenario: &str, when: &str, fault: &str) -> String {
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
    // Each failure is told, and told once.
    let failed = failed_calls(&said);
    for status in [429, 503] {
        let told = failed.iter().filter(|(told, _)| *told == Some(status));
        assert_eq!(told.count(), 1, "{status}: {failed:?}");
    }
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

/// The failed model calls that the events of a run tell of: status and words.
fn failed_calls(said: &Said) -> Vec<(Option<u64>, String)> {
    let events = said.events();
    let failed = events
        .iter()
        .filter(|event| event["event_type"] == "model.call_failed");
    let told = failed.map(|event| &event["payload"]);
    told.map(|told| {
        let words = told["message"].as_str().unwrap().to_owned();
        (told["status"].as_u64(), words)
    })
    .collect()
}

#[test]
fn a_provider_that_stays_away_is_told_and_waits_for_a_person() {
    let world = World::two_tasks_with(|scenario| {
        let when = "role: planner, phase: explore";
        with_fault(&scenario, when, "{status: 529, times: 100}")
    });
    let impatient = |mut command: Command| {
        command
            .env("LLM_RETRY_TIME", "2")
            .env("LLM_OUTAGE_WAIT", "0");
        command
    };
    let run = impatient(world.simulated(world.ask_for_people(&["--yes"])));
    let said = world.start(run).wait().exited(3);
    let told = said.stderr.lines();
    let told: Vec<&str> = told
        .filter(|line| line.contains("explore: the simulated model answered 529"))
        .collect();
    // The first failure, at once, with what follows; the end is told as what it is.
    let [first] = told.as_slice() else {
        panic!("{said:?}");
    };
    assert!(first.contains("explore: the simulated model"), "{first}");
    assert!(
        first.contains("; try 2 of 24 at ") && first.contains(", until "),
        "{first}"
    );
    assert!(
        said.stderr.contains("provider_unavailable (upstream_5xx)"),
        "{said:?}"
    );
    assert!(!said.stderr.contains("needs 1 item"), "{said:?}");
    assert!(
        said.stderr.contains("Resume: omoi spec resume "),
        "{said:?}"
    );

    let shown = world
        .start(world.command(&["trace", "SPEC-1"]))
        .wait()
        .exited(0);
    assert!(shown.stdout.contains("model call failed: "), "{shown:?}");

    // It is back: the printed command goes on where the run stopped.
    let healthy = std::fs::read_to_string(world.scenario()).unwrap();
    let healthy = healthy.replace("    fault: {status: 529, times: 100}\n", "");
    std::fs::write(world.scenario(), healthy).unwrap();
    let resumed = world.start(world.go_on("resume")).wait().exited(0);
    assert_eq!(resumed.summary()["criteria"]["proven"], 4);
}

#[test]
fn work_that_its_provider_turns_away_is_saved_and_goes_on_at_the_reset() {
    let fault = "{status: 429, retry_after_s: 2}";
    let world = World::two_tasks_with(|scenario| {
        let scenario = with_fault(&scenario, "role: planner, phase: prd", fault);
        with_fault(&scenario, "role: implementer, turn: 1..", fault)
    });
    let mut run = world.run(&["--yes"]);
    run.env("LLM_RETRY_TIME", "1");
    let said = world.start(run).wait().exited(0);
    assert_eq!(said.summary()["criteria"]["proven"], 4, "{said:?}");
    let events = said.events();
    let saved = events
        .iter()
        .filter(|event| event["event_type"] == "attempt.saved");
    let saved: Vec<&str> = saved
        .map(|event| event["payload"]["subject"].as_str().unwrap())
        .collect();
    // Another task may come upon the same limit.
    let (phases, tasks) = saved.split_at(1);
    assert!(phases == ["spec_phase"] && tasks.iter().all(|subject| *subject == "task"));
    assert!(!tasks.is_empty());
    // The attempt after it goes on from its turns, and nothing is counted against the work.
    let counted = "select cast(count(*) as text) from attempts where stop_reason = 'provider_wait'";
    let n_saved = saved.len().to_string();
    assert_eq!(story::one(&world.database(), counted), Some(n_saved));
    let resumed = "select cast(count(*) as text) from attempts a join attempts b \
         on b.task_id = a.task_id and b.subject = 'task' and b.attempt_no = a.attempt_no + 1 \
         join turns t on t.attempt_id = b.id and t.n = 0 \
         where a.stop_reason = 'provider_wait' and b.state = 'succeeded'";
    assert_ne!(story::one(&world.database(), resumed).as_deref(), Some("0"));
    let rounds = "select cast(max(round + retry_count) as text) from tasks";
    assert_eq!(story::one(&world.database(), rounds).as_deref(), Some("0"));
}

#[test]
fn a_provider_that_refuses_ends_the_run_at_once() {
    for (status, class) in [(401, "auth_failed"), (404, "upstream_refused")] {
        let world = World::two_tasks_with(|scenario| {
            let when = "role: planner, phase: explore";
            with_fault(
                &scenario,
                when,
                &format!("{{status: {status}, times: 100}}"),
            )
        });
        let said = world.start(world.run(&["--yes"])).wait().exited(3);
        let reason = said.summary()["reason"].to_string();
        assert!(
            reason.contains(&format!("provider_unavailable ({class})")),
            "{reason}"
        );
        let [(told, _)] = failed_calls(&said).try_into().ok().unwrap();
        assert_eq!(told, Some(status));
    }
}

#[test]
fn a_model_that_declines_ends_the_run_with_what_to_do() {
    let world = World::two_tasks_with(|scenario| {
        let rule = "  - when: {role: planner, phase: explore}\n";
        assert!(scenario.contains(rule));
        scenario.replacen(rule, &format!("{rule}    stop: refusal\n"), 1)
    });
    let said = world.start(world.run(&["--yes"])).wait().exited(3);
    let reason = said.summary()["reason"].to_string();
    for words in [
        "provider_unavailable (model_declined)",
        "omoi models set agent",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn a_key_that_the_provider_echoes_is_neither_printed_nor_kept() {
    const KEY: &str = "sk-ant-e2e-0123456789abcdef";
    let world = World::two_tasks("scenario.yaml");
    let provider = Listener::start();
    for people in [true, false] {
        let mut run = match people {
            true => world.ask_for_people(&["--yes"]),
            false => world.ask(&["--yes"]),
        };
        run.env("ANTHROPIC_API_KEY", KEY)
            .env("ANTHROPIC_BASE_URL", &provider.url)
            .env("LLM_MODEL", "listener")
            .env("OMOI_LOG", "debug");
        let said = world.start(run).wait().exited(3);
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(
            told.contains("there is no account of the key **** here"),
            "{told}"
        );
        assert!(!told.contains(KEY), "{told}");
    }
    for path in files_below(&world.data()) {
        let bytes = std::fs::read(world.data().join(&path)).unwrap_or_default();
        let held = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        assert!(!held, "{path:?} holds the key");
    }
}

/// Has the check of the first task import a package from `folder`.
fn needs_package(scenario: &str, folder: &Path) -> String {
    let check = "                    check_bye.py: |\n";
    assert!(scenario.contains(check));
    let imports = format!(
        "{check}                      import sys\n                      sys.path.append(\"{}\")\n                      \
         import iniconfig\n",
        folder.display()
    );
    scenario.replace(check, &imports)
}

#[test]
fn what_the_machine_or_the_provider_lacked_is_mended_and_the_spec_resumed() {
    let packages = tempfile::tempdir().unwrap();
    let readable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(packages.path(), readable).unwrap();
    let fault = "{status: 401, times: 100}";
    let world = World::two_tasks_with(|scenario| {
        let scenario = needs_package(&scenario, packages.path());
        let when = "role: implementer, task: TSK-002, turn: 0";
        with_fault(&scenario, when, fault)
    });
    world.repo.write("requirements.txt", "iniconfig\n");
    world.repo.commit("Name what it needs");
    let blocked = |said: &Said, reason: &str| {
        let summary = said.summary();
        assert_eq!(summary["outcome"], "blocked", "{said:?}");
        let told = summary["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{told}");
    };

    // The first task's check finds no package.
    let said = world.start(world.run(&["--yes"])).wait().exited(3);
    blocked(&said, "TSK-001 is blocked: environment_fault: ");
    blocked(&said, "`iniconfig`");

    // With the package there the same run comes as far as the provider, which refuses the second task.
    std::fs::write(packages.path().join("iniconfig.py"), "").unwrap();
    let config = world.beside("config.yaml");
    let read_only = format!("sandbox: {{read_only: [{}]}}\n", packages.path().display());
    std::fs::write(&config, read_only).unwrap();
    let resume = || {
        let mut again = world.go_on("resume");
        again.arg("--config").arg(&config);
        world.start(again).wait()
    };
    let said = resume().exited(3);
    blocked(
        &said,
        "TSK-002 is blocked: provider_unavailable (auth_failed): ",
    );
    let status = |task| story::task_status(&world.database(), task);
    assert_eq!(status("TSK-001").as_deref(), Some("completed"));

    // And with an answer it is delivered.
    let healthy = std::fs::read_to_string(world.scenario()).unwrap();
    let healthy = healthy.replace(&format!("    fault: {fault}\n"), "");
    std::fs::write(world.scenario(), healthy).unwrap();
    assert_eq!(resume().exited(0).summary()["criteria"]["proven"], 4);
    let rounds = "select cast(max(round + retry_count) as text) from tasks";
    assert_eq!(story::one(&world.database(), rounds).as_deref(), Some("0"));
}
