//! What the process log tells another terminal.

use std::fs;

use serde_json::Value;

use crate::binary::Running;
use crate::interrupt::until_asked;
use crate::processes::address;
use crate::world::World;

/// A process that works, on a free port.
fn up(world: &World) -> Running {
    let up = world.command(&["up", "--port", "0", "--json"]);
    let mut up = world.start(world.simulated(up));
    address(&mut up);
    up
}

#[test]
fn an_internal_error_is_found_by_the_id_that_its_answer_carries() {
    let world = World::two_tasks("scenario.yaml");
    let logs = world.command(&["logs", "--system"]);
    let none = world.start(logs).wait().exited(2).stderr;
    assert!(
        none.contains("no process has kept a log") && none.contains("hint: name the data folder"),
        "{none}"
    );
    // A plan that waits for a person; nobody works on it later.
    world.start(world.run(&[])).wait().exited(3);
    let up = up(&world);
    let mirrors = fs::read_dir(world.data().join("mirrors")).unwrap();
    let mirror = mirrors.map(|entry| entry.unwrap().path()).next().unwrap();
    fs::remove_dir_all(&mirror).unwrap();
    fs::write(&mirror, "no repository").unwrap();

    let trace = world.command(&["trace", "SPEC-1"]);
    let told = world.start(trace).wait().exited(1).stderr;
    let (_, command) = told.split_once("omoi logs --system --request ").unwrap();
    let id = command.split(' ').next().unwrap();
    let json = world.command(&["trace", "SPEC-1", "--json"]);
    let error: Value = serde_json::from_str(&world.start(json).wait().exited(1).stdout).unwrap();
    assert_eq!(error["error"], "internal");
    assert_ne!(
        error["request_id"].as_str().unwrap(),
        id,
        "each request has its own"
    );

    let logs = world.command(&["logs", "--system", "--request", id, "--json"]);
    let lines = world.start(logs).wait().exited(0).lines();
    let failed = lines.iter().filter(|line| line["level"] == "ERROR");
    let [failed] = failed.collect::<Vec<_>>()[..] else {
        panic!("told once: {lines:?}");
    };
    let chain = failed["error"].as_str().unwrap();
    assert!(told.contains(chain), "{chain}\n{told}");
    assert!(
        lines
            .iter()
            .all(|line| line["spans"][0]["request.id"] == id),
        "{lines:?}"
    );
    up.kill();
}

#[test]
fn another_terminal_follows_the_log_through_a_restart() {
    let world = World::two_tasks("scenario.yaml");
    let first = up(&world);
    let follow = world.command(&["logs", "--system", "-f", "--level", "info"]);
    let mut follow = world.start(follow);
    until_asked(&mut follow, "Listening at http://127.0.0.1:");
    let cancel = world.command(&["spec", "cancel", "SPEC-9"]);
    world.start(cancel).wait().exited(2);
    until_asked(&mut follow, "status=404");
    first.interrupt();
    until_asked(&mut follow, "Stopping because of SIGINT");
    first.wait().exited(0);
    let second = up(&world);
    let both = || follow.stdout().matches("Started omoi").count() == 2;
    while !both() {
        assert!(follow.stderr().is_empty(), "{}", follow.stderr());
        std::thread::yield_now();
    }
    drop(second);
    let said = follow.stdout();
    assert!(said.contains("/api/v1/resolve"), "{said}");
    assert!(!said.contains("DEBUG"), "{said}");
}
