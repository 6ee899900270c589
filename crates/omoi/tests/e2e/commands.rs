//! What every command answers about a run: before it, beside it and after it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::binary::{Running, Said};
use crate::interrupt::slow;
use crate::processes::address;
use crate::read_answers::ReadPlace;
use crate::steady_json::assert_json;
use crate::story;
use crate::world::World;

impl World {
    /// The program with `arguments`, to its end.
    fn says(&self, arguments: &[&str], code: i32) -> Said {
        self.start(self.command(arguments)).wait().exited(code)
    }

    /// What it prints for scripts.
    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.says(&[arguments, &["--json"]].concat(), 0);
        serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}\n{said:?}"))
    }

    /// What it prints for people.
    fn text(&self, arguments: &[&str]) -> String {
        self.says(arguments, 0).stdout
    }

    /// A process that owns the data folder and works.
    fn up(&self) -> Running {
        let up = self.command(&["up", "--port", "0", "--json"]);
        let mut up = self.start(self.simulated(up));
        address(&mut up).expect("no address");
        up
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn holds(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
}

#[test]
fn a_plan_that_waits_answers_scripts_with_objects() {
    let mut world = World::two_tasks("scenario.yaml");
    world.change_scenario(with_asking_agent);
    let said = world.start(world.run(&[])).wait().exited(3);
    assert_eq!(said.summary()["outcome"], "blocked");

    // Nobody is there to leave the work to.
    for how in ["approve", "resume"] {
        let mut command = world.go_on(how);
        command.arg("--no-wait");
        let said = world.start(command).wait().exited(2);
        let error = &said.lines()[0];
        assert_eq!(error["type"], "error", "{error}");
        assert_eq!(error["message"], "no process is there to do the work");
        holds(error["hint"].as_str().unwrap(), &["`omoi up`"]);
    }
    let said = world.start(world.go_on("resume")).wait().exited(3);
    assert_eq!(said.lines().len(), 1);
    assert_eq!(said.summary()["outcome"], "blocked");
    assert_json(&world, "json_summary_of_a_plan_that_waits", &said.summary());

    let steered = world.json(&["steer", "TSK-001", "be brief"]);
    assert_eq!(
        (&steered["task_ref"], &steered["status"]),
        (&json!("TSK-001"), &json!("pending"))
    );
    assert_json(&world, "json_steer", &steered);
    let said = world.says(&["steer", "TSK-002", "be brief"], 0).stderr;
    holds(
        &said,
        &["TSK-002 has no agent at work: its next one is told"],
    );
    let said = world
        .says(&["steer", "TSK-002", "stop", "--interrupt"], 0)
        .stderr;
    holds(
        &said,
        &["TSK-002 has no agent at work: its next one is stopped"],
    );

    let folder = world.home().join("plan");
    let output = folder.to_str().unwrap();
    let written = world.json(&["spec", "export", "SPEC-1", "--output", output]);
    assert_eq!(written["folder"], output);
    assert_json(&world, "json_spec_export", &written);
    let files = world.json(&["spec", "export", "SPEC-1"]);
    let files = files.as_array().unwrap();
    assert_eq!(written["files"].as_array().unwrap().len(), files.len());
    for file in files {
        let path = file["path"].as_str().unwrap();
        assert_eq!(fs::read_to_string(folder.join(path)).unwrap(), file["text"]);
    }

    // The only agent that could go on asks a person: no script waits for that.
    let said = world.start(world.go_on("approve")).wait().exited(3);
    let summary = said.summary();
    assert_eq!(summary["outcome"], "blocked", "{summary:#}");
    let waits = "TSK-001 waits for an answer (question: Who is greeted first?)";
    assert_eq!(summary["reason"], waits);
    let says = ["omoi approvals answer ", "Then resume: omoi spec resume "];
    holds(&said.stderr, &says);
}

/// `scenario`, in which the agent of the first task asks once it has written its file.
fn with_asking_agent(scenario: String) -> String {
    let next_rule = "  - when: {role: implementer, task: TSK-002, turn: 0}\n";
    let asks =
        "      - tool: {name: ask_person, input: {question: Who is greeted first?, choices: []}}\n";
    assert_eq!(scenario.matches(next_rule).count(), 1);
    scenario.replace(next_rule, &format!("{asks}{next_rule}"))
}

#[test]
fn a_run_beside_up_succeeds_and_every_command_reads_it() {
    let world = World::two_tasks("scenario.yaml");
    let up = world.up();
    for (name, expected) in [("", 0o700), ("token", 0o600), ("omoi.sock", 0o600)] {
        let found = mode(&world.data().join(name));
        assert_eq!(found, expected, "`{name}` has mode {found:o}");
    }
    let said = world.start(world.ask(&["--yes"])).wait().exited(0);
    let summary = said.summary();
    assert_eq!(summary["outcome"], "succeeded");
    assert_json(&world, "json_summary", &summary);
    read_by_scripts(&world, &summary);
    read_by_people(&world);

    up.interrupt();
    up.wait().exited(0);
    reads_alike(&world);
    its_audit_log_is_whole(&world);
}

/// What does not depend on who owns the folder.
fn reads_alike(world: &World) {
    let place = ReadPlace {
        world,
        repo: world.repo.path().to_str().unwrap(),
        project: &world.repo_name(),
        run: &|words| world.start(world.command(words)).wait(),
    };
    place.reads_as_everywhere();
    place.reads("whoami_of_folder", &["whoami"]);
    place.reads("profiles_of_folder", &["profile", "list"]);
}

/// Every row of the log is told, that of telling it included, and none was changed.
fn its_audit_log_is_whole(world: &World) {
    let export = || world.says(&["admin", "audit", "export"], 0).lines();
    assert_eq!(export().len(), 1);
    let rows = export();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (&row["seq"], &row["action"]))
        .collect();
    let exported = json!("export_audit");
    assert_eq!(told, [(&json!(1), &exported), (&json!(2), &exported)]);
    let verified = world.json(&["admin", "audit", "verify"]);
    assert_eq!(
        (&verified[0]["rows"], &verified[0]["fault"]),
        (&json!(2), &Value::Null),
        "{verified}"
    );
    let said = world.text(&["admin", "audit", "verify"]);
    holds(&said, &["the platform: 2 rows, none changed\n"]);
}

fn read_by_scripts(world: &World, summary: &Value) {
    let specs = world.json(&["spec", "list"]);
    assert_eq!(specs.as_array().unwrap().len(), 1);
    assert_eq!(specs[0]["status"], "delivered");
    let shown = world.json(&["spec", "show", "SPEC-1"]);
    assert_json(world, "json_spec_show", &shown);
    assert_eq!(shown["spec"], specs[0]);
    let tasks = world.json(&["task", "list"]);
    assert_eq!(shown["tasks"], tasks);
    for task in tasks.as_array().unwrap() {
        assert_eq!(task["status"], "completed");
        assert_eq!(task["integration_state"], "merged");
        let name = task["task_ref"].as_str().unwrap();
        let detail = world.json(&["task", "show", name]);
        assert_json(world, &format!("json_task_show_{name}"), &detail);
        assert_eq!(&detail["task"], task);
        let receipts = detail["receipts"].as_array().unwrap();
        assert!(receipts.iter().all(|receipt| receipt["passed"] == true));
    }
    let log = world.says(&["logs", "TSK-001", "--json"], 0).lines();
    let times: Vec<_> = log.iter().map(|line| line["at"].as_i64()).collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
    let wrote = |line: &Value| {
        line["event_type"] == "agent.file_edited" && line["data"]["file_path"] == "bye.py"
    };
    assert!(log.iter().any(wrote), "{log:?}");
    assert_json(
        world,
        "json_log_line",
        log.iter().find(|line| wrote(line)).unwrap(),
    );

    let trace = world.json(&["trace", "SPEC-1"]);
    assert_json(world, "json_trace", &trace);
    assert_eq!(trace["head"], summary["head"]);
    let criteria: Vec<&Value> = trace["requirements"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|requirement| requirement["criteria"].as_array().unwrap())
        .collect();
    assert_eq!(criteria.len(), 4);
    for criterion in criteria {
        assert_eq!(criterion["proven"], true);
        assert_eq!(criterion["receipts"][0]["commit"], summary["head"]);
    }
    let branch = summary["branch"].as_str().unwrap();
    for file in world
        .json(&["spec", "export", "SPEC-1"])
        .as_array()
        .unwrap()
    {
        let path = file["path"].as_str().unwrap();
        let delivered = world.repo.git(&["show", &format!("{branch}:{path}")]);
        assert_eq!(
            file["text"].as_str().unwrap().trim_end(),
            delivered.trim_end()
        );
    }
}

fn read_by_people(world: &World) {
    reads_alike(world);
    let task = world.text(&["task", "show", "TSK-001"]);
    let facts = [
        "TSK-001 Say goodbye\n  spec      SPEC-1 TKT-001\n",
        "  status    completed integration merged\n",
        "  serves    REQ-BYE-FUNC-001\n  says      The function is there.\n",
        "  attempt 1  implementer  succeeded  2 turns  ",
        "  $ python3 -S check_bye.py\n    passed at ",
    ];
    holds(&task, &facts);
    assert!(!task.contains("created bye.py"), "{task}");
    let logged = world.text(&["task", "show", "TSK-001", "--logs"]);
    holds(&logged, &facts);
    let done = "  #1  created bye.py +5 −0\n";
    holds(&logged, &["    | Ran 1 test in ", done]);
    let log = world.text(&["logs", "TSK-001"]);
    holds(&log, &[done]);
    assert!(logged.ends_with(&log), "{logged}");
}

#[test]
fn work_is_left_to_up_and_its_agent_is_steered() {
    let world = World::two_tasks_with(slow);
    let mut up = world.up();
    world.start(world.ask(&[])).wait().exited(3);
    let approved = world.json(&["spec", "approve", "SPEC-1", "--no-wait"]);
    assert_eq!(
        (&approved["spec_ref"], &approved["status"]),
        (&json!("SPEC-1"), &json!("working"))
    );
    assert_json(&world, "json_spec_approve", &approved);
    let resumed = world.json(&["spec", "resume", "SPEC-1", "--no-wait"]);
    assert_eq!(resumed["id"], approved["id"]);

    let database = world.database();
    while story::attempts(&database, "TSK-001") != ["running - saved"] {
        assert!(
            !up.ends_within(Duration::from_millis(20)),
            "{}",
            up.stderr()
        );
    }
    let said = world.says(&["steer", "TSK-001", "be brief"], 0).stderr;
    assert_eq!(said, "TSK-001 reads it before its next turn\n");
    let said = world
        .says(&["steer", "TSK-001", "stop", "--interrupt"], 0)
        .stderr;
    holds(
        &said,
        &["TSK-001 is asked to stop: its agent saves its work"],
    );
    // Until the task is over.
    world.says(&["logs", "-f", "TSK-001"], 0);
    let ended = story::attempts(&database, "TSK-001");
    assert_eq!(ended, ["interrupted interrupt saved"]);
    let status = story::task_status(&database, "TSK-001");
    assert_eq!(status.as_deref(), Some("cancelled"));
}

#[test]
fn what_is_allowed_holds_at_once_in_a_process_that_runs() {
    let world = World::two_tasks("scenario.yaml");
    let config = world.beside("config.yaml");
    fs::write(&config, "").unwrap();
    let allow = |entry: &str, more: &[&str]| {
        let mut allow = world.command(&["egress", "allow", entry]);
        allow.arg("--config").arg(&config).args(more);
        world.start(allow).wait().exited(0)
    };
    let said = allow("docs.example.com", &["--all-projects"]);
    let told =
        "Wrote docs.example.com to egress.hosts; whatever starts from now on lets it through";
    holds(&said.stderr, &[told]);

    let up = world.up();
    let said = allow("npm:left-pad@1.3.0", &[]);
    holds(
        &said.stderr,
        &["; process ", " lets it through from now on"],
    );
    // What it was started without, it is told of again.
    let said = allow("docs.example.com", &["--all-projects", "--json"]);
    let said: Value = serde_json::from_str(&said.stdout).unwrap();
    let told = (&said["changed"], &said["in_force"]);
    assert_eq!(told, (&json!(false), &json!(true)), "{said:#}");
    drop(up);
}
