//! Two repositories in one data folder: which spec is meant, and who goes on with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::interrupt::{slow, until_a_turn_is_saved};
use crate::story;
use crate::world::World;

/// `command` as it would be typed in `folder`.
fn typed_in(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder);
    command
}

/// Where the first repository's spec stands, and the second's.
fn statuses(world: &World) -> [Option<String>; 2] {
    let of = |which: &str| {
        let sql = format!(
            "select s.status from specs s join projects p on p.id = s.project_id
             where p.repo_path {which} '{}'",
            world.repo.path().display()
        );
        story::one(&world.database(), &sql)
    };
    [of("="), of("<>")]
}

#[test]
fn a_run_goes_on_with_nothing_but_what_was_asked_for() {
    let world = World::two_tasks_with(slow);
    let mut run = world.start(world.run(&["--yes"]));
    until_a_turn_is_saved(&world, &mut run);
    run.kill();

    // The same script plans another spec beside it, which is also its repository's SPEC-1.
    let second = World::second_repo();
    let mut other = world.command(&["run", "Say goodbye.", "--json", "--repo"]);
    other.arg(second.path());
    let said = world.start(world.simulated(other)).wait().exited(3);
    let name = said.summary()["spec_name"].as_str().unwrap().to_owned();
    assert!(said.stderr.contains(&name), "{said:?}");
    let [first, planned] = statuses(&world);
    assert_eq!(first.as_deref(), Some("working"));
    assert_eq!(planned.as_deref(), Some("completed"));
    // The dead process's attempt is ended; none follows it.
    let ended = story::attempts(&world.database(), "TSK-001");
    assert_eq!(ended, ["lost platform_restarted saved"]);

    // A command that acts does not guess: neither from outside, nor by the newest.
    let cancel = || world.command(&["spec", "cancel", "SPEC-1"]);
    let said = world
        .start(typed_in(cancel(), &world.home()))
        .wait()
        .exited(2);
    let lines = said.stderr.lines().filter(|line| line.contains("/SPEC-1"));
    assert_eq!(lines.count(), 2, "{said:?}");
    assert!(said.stderr.contains(&name), "{said:?}");
    world
        .start(typed_in(cancel(), second.path()))
        .wait()
        .exited(0);
    let [first, cancelled] = statuses(&world);
    assert_eq!(first.as_deref(), Some("working"));
    assert_eq!(cancelled.as_deref(), Some("cancelled"));
    // From anywhere by its name.
    let show = world.command(&["spec", "show", &name]);
    let said = world.start(typed_in(show, &world.home())).wait().exited(0);
    assert!(said.stdout.contains("cancelled"), "{said:?}");

    // Another script leaves it alone, says so, and shows the command that goes on with it.
    let script = world.home().join("another.yaml");
    fs::copy(world.scenario(), &script).unwrap();
    let mut up = world.command(&["up", "--port", "0", "--json", "--model", "simulated"]);
    up.arg("--scenario").arg(&script);
    let mut up = world.start(up);
    crate::processes::address(&mut up).expect("no address");
    let started: Value = serde_json::from_str(up.stdout().lines().next().unwrap()).unwrap();
    assert_eq!(started["goes_on"], serde_json::json!([]), "{started:#}");
    let resume = started["waits"][0]["resume"].as_str().unwrap().to_owned();
    assert!(
        resume.ends_with(&format!("--scenario {}", world.scenario().display())),
        "{resume}"
    );
    let refused = world.command(&["spec", "resume", "SPEC-1", "--no-wait"]);
    let refused = world.start(refused).wait().exited(1);
    assert!(refused.stderr.contains(&resume), "{refused:?}");
    up.kill();
    let words: Vec<&str> = resume.split(' ').skip(1).collect();
    let resumed = world.command(&words);
    let said = world
        .start(typed_in(resumed, &world.home()))
        .wait()
        .exited(0);
    assert_eq!(
        statuses(&world)[0].as_deref(),
        Some("delivered"),
        "{said:?}"
    );
}

#[test]
fn a_cancelled_task_is_no_dead_end() {
    let world = World::two_tasks("scenario.yaml");
    world.start(world.run(&[])).wait().exited(3);
    let cancel = world.command(&["task", "cancel", "TSK-002"]);
    world.start(cancel).wait().exited(0);
    let approve = world.command(&["spec", "approve", "SPEC-1"]);
    let said = world.start(approve).wait().exited(3);
    assert!(
        said.stderr
            .contains("Hand over what stands: omoi spec deliver"),
        "{said:?}"
    );
    assert!(!said.stderr.contains("Resume:"), "{said:?}");
    let resume = world.command(&["spec", "resume", "SPEC-1"]);
    let said = world.start(resume).wait().exited(1);
    assert!(said.stderr.contains("omoi task retry"), "{said:?}");

    let deliver = world.command(&["spec", "deliver", "SPEC-1"]);
    let said = world.start(deliver).wait().exited(0);
    assert!(said.stderr.contains("2 of 4 criteria proven"), "{said:?}");
    let told = said.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let says = "not proven: REQ-BYE-FUNC-002#1, REQ-BYE-FUNC-002#2; not done: TSK-002 (cancelled)";
    assert!(told.contains(says), "{told}");

    let retry = world.command(&["task", "retry", "TSK-002"]);
    let said = world.start(retry).wait().exited(0);
    let (_, hint) = said.stderr.split_once("nobody works now: omoi ").unwrap();
    let words: Vec<&str> = hint.split_whitespace().collect();
    let said = world.start(world.command(&words)).wait().exited(0);
    assert!(said.stderr.contains("4 of 4 criteria proven"), "{said:?}");
}

#[test]
fn a_new_scenario_passes_every_gate_as_it_is() {
    let world = World::two_tasks("scenario.yaml");
    let folder = world.home().join("trial");
    let new = world.command(&["scenario", "new", folder.to_str().unwrap()]);
    let said = world.start(new).wait().exited(0);
    let (_, hint) = said.stderr.split_once("Run it: omoi ").unwrap();
    let (front, rest) = hint.split_once(" \"say goodbye\" ").unwrap();
    let mut words = vec![front, "say goodbye"];
    words.extend(rest.split_whitespace());
    let said = world.start(world.command(&words)).wait().exited(0);
    assert!(said.stderr.contains("4 of 4 criteria proven"), "{said:?}");
    let again = world.command(&["scenario", "new", folder.to_str().unwrap()]);
    world.start(again).wait().exited(2);
}
