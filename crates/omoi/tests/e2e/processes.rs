//! The same program as several processes on shared servers.

use std::process::Command;
use std::time::Duration;

use omoi_testkit::{postgres, redis};
use serde_json::Value;

use crate::binary::Running;
use crate::checkout::tests_pass;
use crate::scenarios::is_the_demo;
use crate::story;
use crate::world::World;

/// A process that plays `roles`.
fn serve(world: &World, roles: &str, shared: &[&str]) -> Command {
    let mut serve = world.command(&["serve", "--roles", roles, "--json"]);
    serve.args(shared);
    serve
}

/// Waits until `process` says that it serves, and where it answers people.
pub(crate) fn address(process: &mut Running) -> Option<String> {
    let started = started(process);
    started["address"].as_str().map(ToOwned::to_owned)
}

/// Waits until `process` says that it serves; what it says.
pub(crate) fn started(process: &mut Running) -> Value {
    for _ in 0..600 {
        if let Some(line) = process.stdout().lines().next() {
            let started: Value = serde_json::from_str(line).unwrap();
            assert_eq!(started["type"], "started");
            return started;
        }
        assert!(
            !process.ends_within(Duration::from_millis(50)),
            "{}",
            process.stderr()
        );
    }
    panic!("does not start: {}", process.stderr());
}

#[test]
fn two_processes_share_postgres_and_redis() {
    let world = World::demo("scenario.yaml");
    let database = postgres::database();
    let prefix = redis::key_prefix();
    let shared = ["--database", database.url(), "--redis", redis::url()];
    let mut api = serve(&world, "api", &shared);
    api.args(["--port", "0"]).env("REDIS_KEY_PREFIX", &prefix);
    let mut api = world.start(api);
    let address = address(&mut api).expect("no address");
    // Only the process that runs agents needs a model.
    let mut orchestrator = world.simulated(serve(&world, "orchestrator", &shared));
    orchestrator.env("REDIS_KEY_PREFIX", &prefix);
    let mut orchestrator = world.start(orchestrator);
    self::address(&mut orchestrator);

    let token = std::fs::read_to_string(world.data().join("token")).unwrap();
    let mut run = world.ask_server(&["--yes"]);
    run.env("OMOI_API_URL", &address);
    run.env("OMOI_API_KEY", token.trim());
    let said = world.start(run).wait().exited(0);
    println!("{:?}", said.took);
    let summary = said.summary();
    is_the_demo(&summary);
    tests_pass(world.repo.path(), summary["branch"].as_str().unwrap());
    let told = story::read(database.url());
    assert_eq!((told.repeated(), &told.left), (vec![], &vec![]));
    assert!(
        !world.data().join("omoios.db").exists(),
        "something was written to SQLite"
    );
}

#[test]
fn a_reading_command_is_taken_for_no_worker() {
    let world = World::demo("scenario.yaml");
    let database = postgres::database();
    let list = world.command(&["spec", "list", "--json", "--database", database.url()]);
    world.start(list).wait().exited(0);
    // Where a working process would be found.
    assert!(!world.data().join("omoi.sock").exists());
}

/// Rows name commits that lie in one folder.
#[test]
fn another_folder_on_the_same_database_is_refused() {
    let (one, two) = (World::demo("scenario.yaml"), World::demo("scenario.yaml"));
    let database = postgres::database();
    let list = |world: &World| {
        let list = world.command(&["spec", "list", "--database", database.url()]);
        world.start(list).wait()
    };
    list(&one).exited(0);
    let refused = list(&two).exited(2);
    let place = one.data().display().to_string();
    assert!(
        refused.stderr.contains("belongs to the data folder")
            && refused.stderr.contains(&place)
            && refused
                .stderr
                .contains("hint: run this there with --data-dir"),
        "{}",
        refused.stderr
    );
    // The folder that is named goes on.
    list(&one).exited(0);
}

#[test]
fn a_damaged_database_is_named_with_what_to_do() {
    let world = World::demo("scenario.yaml");
    std::fs::create_dir_all(world.data()).unwrap();
    let file = world.data().join("omoios.db");
    std::fs::write(&file, "no database ".repeat(1000)).unwrap();
    let refused = world
        .start(world.command(&["spec", "list"]))
        .wait()
        .exited(2);
    assert!(
        refused.stderr.contains(&file.display().to_string())
            && refused.stderr.contains("is damaged, or is no database")
            && refused
                .stderr
                .contains("hint: put a copy back in its place"),
        "{}",
        refused.stderr
    );
}
