//! Tickets that are worked on by themselves, from the command that writes one to the branch in the repository, and to what
//! shows that it is deployed.

use std::time::Duration;

use serde_json::Value;

use crate::binary::Running;
use crate::processes::address;
use crate::story;
use crate::world::World;

/// Time between two looks at a ticket.
const LOOK: Duration = Duration::from_millis(100);
/// Looks at one ticket.
const LOOKS_MAX: usize = 600;
/// Passes once the simulated model has written its file.
const PROOF: &str = "python3 -S -c 'import bye'";

/// What `omoi ticket` with `words` answers.
fn ticket(world: &World, words: &[&str]) -> Value {
    let command = world.command(&[&["ticket"], words, &["--json"]].concat());
    let said = world.start(command).wait().exited(0);
    serde_json::from_str(&said.stdout).unwrap()
}

/// Looks at a ticket until it is as `is_so` says.
fn until(world: &World, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..LOOKS_MAX {
        last = ticket(world, &["show", name]);
        if is_so(&last) {
            return last;
        }
        std::thread::sleep(LOOK);
    }
    panic!("{name} does not come so far: {last:#}");
}

fn until_held_up(world: &World, name: &str, why: &str) {
    let held = until(world, name, |ticket| ticket["is_blocked"] == true);
    assert_eq!(held["blocked_reason"], "failing_checks", "{held:#}");
    let detail = held["blocked_detail"].as_str().unwrap();
    assert!(
        detail.starts_with("needs_check") && detail.contains(why),
        "{detail}"
    );
}

/// Waits until the work on a ticket is handed over; gives the ticket and its branch.
fn until_delivered(world: &World, name: &str) -> (Value, String) {
    let done = until(world, name, |ticket| ticket["status"] == "done");
    assert_eq!(
        (&done["spec_id"], &done["spec_ref"]),
        (&Value::Null, &Value::Null)
    );
    let number = done["run_ref"].as_str().unwrap().replace("SPEC-", "");
    let sql = format!(
        "select d.branch from hand_overs d join specs s on s.id = d.spec_id
         where s.number = {number} and s.status = 'delivered'"
    );
    for _ in 0..LOOKS_MAX {
        if let Some(branch) = story::one(&world.database(), &sql) {
            return (done, branch);
        }
        std::thread::sleep(LOOK);
    }
    panic!("{name} is not handed over");
}

fn start_up(world: &World, suite: Option<&str>) -> Running {
    let mut up = world.simulated(world.command(&["up", "--port", "0", "--json"]));
    if let Some(suite) = suite {
        up.env("VALIDATION_SUITE", suite);
    }
    let mut up = world.start(up);
    address(&mut up).expect("no address");
    up
}

#[test]
fn a_quick_ticket_is_done_by_itself_and_says_what_shows_it() {
    let world = World::two_tasks("scenario.yaml");
    let up = start_up(&world, Some("python3 -m unittest"));
    let proven = ["create", "Say goodbye", "--quick", "--check", PROOF];
    assert_eq!(ticket(&world, &proven)["workflow_mode"], "quick");
    ticket(&world, &["create", "Say a farewell", "--quick"]);
    let (first, branch) = until_delivered(&world, "TKT-1");
    assert_eq!(first["evidence"], "proven");
    let shown = format!("{branch}:bye.py");
    assert!(world.repo.git(&["show", &shown]).contains("Goodbye"));
    let (second, _) = until_delivered(&world, "TKT-2");
    assert_eq!(second["evidence"], "checked_not_proven");

    let read = |words: &[&str]| {
        let said = world.start(world.command(words)).wait().exited(0);
        serde_json::from_str::<Value>(&said.stdout).unwrap()
    };
    let trace = |run: &Value| read(&["trace", run.as_str().unwrap(), "--json"]);
    let proven = trace(&first["run_ref"]);
    let criterion = &proven["requirements"][0]["criteria"][0];
    assert_eq!(
        (&proven["evidence"], &criterion["proven"]),
        (&"proven".into(), &true.into())
    );
    assert_eq!(criterion["ablation"]["verdict"], "needed", "{criterion:#}");
    assert_eq!(trace(&second["run_ref"])["evidence"], "checked_not_proven");
    let notes =
        "select cast(count(*) as text) from hand_overs where note like 'checked, not proven%'";
    assert_eq!(story::one(&world.database(), notes).as_deref(), Some("1"));
    assert_eq!(read(&["spec", "list", "--json"]), serde_json::json!([]));
    up.kill();

    // Without a suite a ticket needs commands, and such that fail without the work.
    let up = start_up(&world, Some("none"));
    ticket(&world, &["create", "Say adieu", "--quick"]);
    until_held_up(&world, "TKT-3", "neither a command");
    ticket(&world, &["checks", "TKT-3", "python3 -S -c 'import greet'"]);
    ticket(&world, &["unblock", "TKT-3"]);
    until_held_up(&world, "TKT-3", "passes on the base commit");
    ticket(&world, &["checks", "TKT-3", PROOF]);
    ticket(&world, &["unblock", "TKT-3"]);
    let (third, _) = until_delivered(&world, "TKT-3");
    assert_eq!(third["evidence"], "proven");
    up.kill();
}

/// What the agents hand in of a ticket that is looked into and designed before it is built.
fn documents() -> [(&'static str, String); 2] {
    let scope = "Whoever leaves hears one sentence. ".repeat(20);
    let wanted = format!("# Scope\n{scope}\n# Acceptance criteria\nThe module `bye` is there.");
    let built = "One function in bye.py, beside greet.py.".to_owned();
    [("ticket_requirements", wanted), ("ticket_design", built)]
}

/// The scenario with agents that write these documents.
fn with_documents(mut scenario: String) -> String {
    for (phase, text) in documents() {
        let text = Value::from(text);
        scenario.push_str(&format!(
            "  - when: {{role: planner, phase: {phase}}}
    reply:
      - items:
          - {{section: document, value: {text}}}
      - done: true
"
        ));
    }
    scenario
}

fn project(world: &World, words: &[&str]) -> Value {
    let command = world.command(&[&["project"], words, &["--json"]].concat());
    let said = world.start(command).wait().exited(0);
    serde_json::from_str(&said.stdout).unwrap()
}

#[test]
fn a_ticket_is_looked_into_designed_built_and_shown_to_be_deployed() {
    let world = World::two_tasks_with(with_documents);
    let up = start_up(&world, Some("python3 -m unittest"));
    let path = world.repo.path().to_string_lossy().into_owned();
    let made = project(&world, &["create", "--repo", &path]);
    let name = made["name"].as_str().unwrap();
    let red = "python3 -S -c 'import nowhere'";
    let set = |command| project(&world, &["set", name, "--deploy-check", command]);
    assert_eq!(set(red)["deploy_check"], red);
    let asked = ["create", "Say goodbye", "--phased", "--check", PROOF];
    assert_eq!(ticket(&world, &asked)["workflow_mode"], "none");

    let held = until(&world, "TKT-1", |ticket| ticket["is_blocked"] == true);
    let found = (&held["status"], &held["blocked_reason"]);
    assert_eq!(
        found,
        (&"deploying".into(), &"failing_checks".into()),
        "{held:#}"
    );
    let read = |sql: &str| story::one(&world.database(), sql).unwrap();
    let told = read("select description from tasks");
    for (_, text) in documents() {
        assert!(told.contains(text.trim()), "{told}");
    }
    assert_eq!(
        read(
            "select group_concat(phase, ' ') from (select phase from attempts where phase is not null order by created_at)"
        ),
        "ticket_requirements ticket_design"
    );
    let passed = "select group_concat(phase_id, ' ') from (select phase_id from phase_gate_results
         where gate_status = 'passed' group by phase_id order by min(n))";
    assert_eq!(
        read(passed),
        "PHASE_REQUIREMENTS PHASE_DESIGN PHASE_IMPLEMENTATION PHASE_TESTING"
    );
    let list = world.command(&["approvals", "--json"]);
    let said = world.start(list).wait().exited(0);
    let waiting: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(waiting[0]["kind"], "phase_gate", "{waiting:#}");

    // What was handed over shows it, as soon as somebody looks for the right thing.
    set(PROOF);
    ticket(&world, &["unblock", "TKT-1"]);
    let (done, _) = until_delivered(&world, "TKT-1");
    assert_eq!(done["evidence"], "proven");
    assert!(read(passed).ends_with(" PHASE_DEPLOYMENT"));
    let looked = "select group_concat(r.passed, ' ') from (select r.passed from receipts r join checks c on c.id = r.check_id
         where c.is_deploy order by r.started_at) r";
    assert_eq!(read(looked), "0 1");
    up.kill();
}
