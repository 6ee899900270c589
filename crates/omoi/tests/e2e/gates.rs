//! A person looks at what planning made before it goes on.

use serde_json::Value;

use crate::binary::Said;
use crate::story;
use crate::world::World;

/// The only question that holds planning up: its id and kind. Beside it, people are asked what exploring left open.
fn asked(world: &World) -> (String, String) {
    let list = world.command(&["approvals", "--json"]);
    let said = world.start(list).wait().exited(0);
    let mut pending: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    let n_pending = pending.len();
    pending.retain(|asked| asked["kind"] != "question");
    assert_eq!(n_pending, pending.len() + 1, "{pending:#?}");
    let [only] = pending.as_slice() else {
        panic!("{pending:#?}")
    };
    let text = |field: &str| only[field].as_str().unwrap().to_owned();
    (text("id"), text("kind"))
}

fn answer(world: &World, words: &[&str]) -> Said {
    let command = world.command(&[&["approvals"], words].concat());
    world.start(command).wait()
}

fn attempts_at(world: &World, phase: &str) -> Option<String> {
    let sql = format!("select cast(count(*) as text) from attempts where phase = '{phase}'");
    story::one(&world.database(), &sql)
}

#[test]
fn nothing_is_planned_on_before_a_person_says_yes() {
    let world = World::two_tasks("scenario.yaml");
    let run = world.run(&["--yes", "--gates"]);
    let said = world.start(run).wait().exited(3);
    assert!(said.stderr.contains("omoi approvals approve"), "{said:?}");
    let (requirements, kind) = asked(&world);
    assert_eq!(kind, "spec_requirements");
    assert_eq!(attempts_at(&world, "design").as_deref(), Some("0"));
    // Whoever comes back finds it waiting.
    world.start(world.go_on("resume")).wait().exited(3);
    assert_eq!(attempts_at(&world, "design").as_deref(), Some("0"));
    answer(&world, &["approve", &requirements]).exited(0);
    let late = answer(&world, &["reject", &requirements, "--reason", "no"]);
    assert!(!late.status.success(), "{late:?}");

    world.start(world.go_on("resume")).wait().exited(3);
    let (design, kind) = asked(&world);
    assert_eq!(kind, "spec_design");
    let reason = "One module is enough.";
    answer(&world, &["reject", &design, "--reason", reason]).exited(0);
    let told = "select feedback from spec_phase_runs where phase = 'design'";
    let told = story::one(&world.database(), told).unwrap();
    assert!(told.ends_with(reason), "{told}");
    world.start(world.go_on("resume")).wait().exited(3);
    assert_eq!(attempts_at(&world, "design").as_deref(), Some("2"));
    let (again, kind) = asked(&world);
    assert_eq!(kind, "spec_design");
    assert_ne!(again, design);
    answer(&world, &["approve", &again]).exited(0);
    world.start(world.go_on("resume")).wait().exited(0);
}
