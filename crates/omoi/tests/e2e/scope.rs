//! Two repositories in one data folder: which spec is meant, and who goes on with it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::interrupt::slow;
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
    let wrote = |line: &str| line.contains("\"agent.turn\"") && line.contains("\"task\"");
    while !run.stdout().lines().any(wrote) {
        assert!(
            !run.ends_within(Duration::from_millis(20)),
            "{}",
            run.stderr()
        );
    }
    run.kill();
    let attempts = story::attempts(&world.database(), "TSK-001");

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
    assert_eq!(
        story::attempts(&world.database(), "TSK-001")[..1],
        attempts[..1]
    );

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
