//! What a run promises, seen from outside.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::binary::{Said, omoi, start};
use crate::checkout::{Checkout, plan_files, tests_pass};
use crate::listener::Listener;
use crate::story;
use crate::world::World;

/// What the demo promises beyond having succeeded.
pub(crate) fn is_the_demo(summary: &Value) {
    let count = |pointer: &str| summary.pointer(pointer).and_then(Value::as_i64).unwrap();
    let at_least = [
        ("/tickets", 3),
        ("/tasks/completed", 7),
        ("/max_parallel", 3),
        ("/discoveries", 1),
        ("/conflicts/resolved", 1),
        ("/receipts/failed", 1),
        ("/receipts/passed", 10),
        ("/criteria/total", 10),
        ("/tokens", 1),
        ("/wall_ms", 1),
    ];
    for (pointer, least) in at_least {
        assert!(
            count(pointer) >= least,
            "{pointer} is less than {least}: {summary:#}"
        );
    }
    assert_eq!(summary["outcome"], "succeeded");
    assert_eq!(summary["model"], "simulated");
    assert_eq!(
        count("/criteria/proven"),
        count("/criteria/total"),
        "{summary:#}"
    );
    assert_eq!(
        count("/conflicts/found"),
        count("/conflicts/resolved"),
        "{summary:#}"
    );
    let not_known = count("/criteria/unknown") + count("/criteria/not_tried");
    assert_eq!((count("/criteria/weak"), not_known), (0, 0), "{summary:#}");
    assert!(
        count("/criteria/self_tested") * 2 <= count("/criteria/proven"),
        "{summary:#}"
    );
    assert_eq!(
        (count("/tasks/failed"), count("/tasks/cancelled")),
        (0, 0),
        "{summary:#}"
    );
    let phases = summary["phases"].as_object().unwrap();
    for phase in ["explore", "prd", "requirements", "design", "tasks", "sync"] {
        assert!(
            phases[phase]["score"].as_f64().unwrap() >= 0.7,
            "{phase}: {summary:#}"
        );
    }
    assert!(
        phases.values().any(|phase| phase["attempts"] == 2),
        "{summary:#}"
    );
}

/// Our own agent and planner speak one wire format; the model behind the gateway may speak another.
#[test]
fn the_demo_succeeds_with_models_of_other_wire_formats() {
    let folder = tempfile::Builder::new().prefix("omoi").tempdir().unwrap();
    let demos = ["chat_completions", "responses"].map(|dialect| {
        let home = folder.path().join(dialect);
        fs::create_dir(&home).unwrap();
        let mut demo = omoi(&home);
        demo.env("LLM_SIMULATED_DIALECT", dialect);
        demo.args(["demo", "--json", "--data-dir"])
            .arg(home.join("data"));
        start(demo, home.join("demo"))
    });
    for demo in demos {
        is_the_demo(&demo.wait().exited(0).summary());
    }
}

/// Every key that scripts rely on, and no other but what is named here.
fn has_the_promised_keys(summary: &Value) {
    let keys = |value: &Value| {
        let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(
        keys(summary),
        "blocked_by branch conflicts cost_by_purpose cost_nanousd criteria discoveries head max_parallel model model_kind model_ms notes outcome outside_plan phases \
         reason receipts repo spec_id spec_name spec_ref suite tasks tickets tokens type wall_ms"
    );
    for (object, promised) in [
        ("/tasks", "cancelled completed failed"),
        ("/conflicts", "found resolved"),
        ("/cost_by_purpose", "attempt judge"),
        (
            "/cost_by_purpose/judge",
            "calls cost_nanousd estimated_nanousd tokens",
        ),
        ("/receipts", "failed passed"),
        (
            "/criteria",
            "not_tried proven self_tested total unknown weak",
        ),
        ("/phases/explore", "attempts score"),
    ] {
        assert_eq!(keys(summary.pointer(object).unwrap()), promised, "{object}");
    }
}

#[test]
fn the_demo_keeps_its_promise() {
    let folder = tempfile::Builder::new().prefix("omoi").tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let mut demo = omoi(&home);
    demo.args(["demo", "--json", "--data-dir"])
        .arg(folder.path().join("data"));
    let said = start(demo, folder.path().join("demo")).wait().exited(0);
    println!("{:?}", said.took);
    let summary = said.summary();
    has_the_promised_keys(&summary);
    is_the_demo(&summary);
    is_in_order(&said);
    let text = |key: &str| summary[key].as_str().unwrap();
    let repo = Path::new(text("repo"));
    assert!(repo.starts_with(home.join(".cache")), "{repo:?}");
    tests_pass(repo, text("branch"));
    let files = plan_files(repo, text("branch"));
    let is_markdown = |file: &String| Path::new(file).extension().is_some_and(|kind| kind == "md");
    assert!(
        files.len() >= 6 && files.iter().all(is_markdown),
        "{files:?}"
    );
    let database = format!(
        "sqlite://{}?mode=ro",
        folder.path().join("data/omoios.db").display()
    );
    let told = story::read(&database);
    assert_eq!((told.repeated(), &told.left), (vec![], &vec![]));
    assert_eq!(
        told.proven.len() as i64,
        summary["criteria"]["proven"].as_i64().unwrap()
    );
}

/// Events come in order, each once. That none is missing can be seen in the rows only, since some
/// are for reconcilers alone.
fn is_in_order(said: &Said) {
    let events = said.events();
    let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_i64()).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
}

#[test]
fn a_plan_waits_for_a_person_and_the_checkout_is_never_touched() {
    let world = World::two_tasks("scenario.yaml");
    // Half of it staged, half of it not: the person is in the middle of something.
    world
        .repo
        .write("greet.py", "\"\"\"Work in progress.\"\"\"\n")
        .git(&["add", "greet.py"]);
    world.repo.write("notes.txt", "not in git\n");
    let before = Checkout::of(&world.repo);
    let planned = world.start(world.run(&[])).wait().exited(3);
    assert_eq!(Checkout::of(&world.repo), before);
    let summary = planned.summary();
    assert_eq!(
        (&summary["outcome"], &summary["head"]),
        (&"blocked".into(), &Value::Null)
    );
    assert!(
        planned.stderr.contains("/SPEC-1") && planned.stderr.contains("omoi spec approve "),
        "{planned:?}"
    );
    phases_in_order(&planned);
    assert_eq!(story::read(&world.database()).left, Vec::<String>::new());

    // What the repository said of itself at the base commit stays; its work tree says nothing.
    let own = world.repo.path().join(".omoi.yaml");
    world.repo.write(".omoi.yaml", "agent: {max_turns: 1}\n");

    let built = world.start(world.go_on("approve")).wait().exited(0);
    std::fs::remove_file(own).unwrap();
    let summary = built.summary();
    let text = |key: &str| summary[key].as_str().unwrap();
    assert_eq!(summary["criteria"]["proven"], 4, "{summary:#}");
    assert_eq!(
        Checkout::of(&world.repo),
        before.with_branch(text("branch"), text("head"))
    );
    tests_pass(world.repo.path(), text("branch"));
    assert!(!plan_files(world.repo.path(), text("branch")).is_empty());
}

/// Six phases, each begun and completed once, in order, and one end of planning.
fn phases_in_order(planned: &Said) {
    is_in_order(planned);
    let events = planned.events();
    let of = |kind: &str| -> Vec<String> {
        let of_kind = events.iter().filter(|event| event["event_type"] == kind);
        of_kind
            .map(|event| event["payload"]["phase"].to_string().replace('"', ""))
            .collect()
    };
    let phases = ["explore", "prd", "requirements", "design", "tasks", "sync"];
    assert_eq!(of("spec.phase_started"), phases);
    assert_eq!(of("spec.phase_completed"), phases);
    let milestones = [
        "spec.phase_started",
        "spec.eval_result",
        "spec.phase_completed",
    ];
    let order = events
        .iter()
        .map(|event| event["event_type"].as_str().unwrap());
    let order: Vec<_> = order.filter(|kind| milestones.contains(kind)).collect();
    assert!(
        order.chunks(3).all(|three| three == milestones),
        "{order:?}"
    );
    assert_eq!(of("agent.completed").len(), 1);
    assert_eq!(events[0]["event_type"], "spec.created");
}

#[test]
fn the_plan_can_be_left_out_of_the_branch() {
    let world = World::two_tasks("scenario.yaml");
    let said = world
        .start(world.run(&["--yes", "--no-spec-files"]))
        .wait()
        .exited(0);
    let branch = said.summary()["branch"].as_str().unwrap().to_owned();
    assert_eq!(plan_files(world.repo.path(), &branch), Vec::<String>::new());
    let rendered = world.data().join("specs");
    assert!(
        !crate::world::files_below(&rendered).is_empty(),
        "nothing at {rendered:?}"
    );
}

#[test]
fn an_idea_reaches_the_model_as_it_was_written() {
    let world = World::two_tasks("scenario.yaml");
    let strange = "Use {{ braces }} and {% if x %}, \"quotes\" and 'these', `${HOME}` and \\n,\n---\ntitle: no\n---\n\
        <b>&amp;</b> {# not a comment #}, é 漢字 \u{1f600}. ";
    let length = strange.chars().count();
    let mut idea = strange.repeat(20_000 / length);
    idea.push_str(&"x".repeat(20_000 - idea.chars().count()));
    assert_eq!(idea.chars().count(), 20_000);
    let provider = Listener::start();
    let mut run = world.command(&["run", &idea, "--json", "--repo"]);
    run.arg(world.repo.path())
        .env("ANTHROPIC_API_KEY", "any")
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("LLM_MODEL", "listener");
    let running = world.start(run);
    let asked = provider.asked();
    drop(running);
    let mut texts = Vec::new();
    texts_in(&asked["messages"][0]["content"], &mut texts);
    // It is quoted, so that no line of it is taken for one of ours.
    let quoted: Vec<String> = idea.lines().map(|line| format!("> {line}")).collect();
    let quoted = quoted.join("\n");
    let with_idea = texts.iter().filter(|text| text.contains(&quoted));
    assert_eq!(with_idea.count(), 1, "{asked:#}");
    assert!(texts.concat().contains("# Phase explore"));
}

/// Every text within `value`.
pub(crate) fn texts_in(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|item| texts_in(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts_in(field, found)),
        _ => {}
    }
}

#[test]
fn an_agent_that_writes_while_it_plans_changes_nothing() {
    let world = World::two_tasks("writes.yaml");
    let before = Checkout::of(&world.repo);
    let planned = world.start(world.run(&[])).wait().exited(3);
    assert_eq!(Checkout::of(&world.repo), before);
    for phase in ["explore", "prd", "requirements", "design", "tasks"] {
        let answers = story::tool_results(&world.database(), phase);
        let refused = answers
            .matches("this workspace is read-only for you")
            .count();
        assert_eq!(refused, 3, "{phase}: {answers}");
    }
    phases_in_order(&planned);
    // Nor does any of it come out with the work.
    let summary = world.start(world.go_on("approve")).wait().exited(0);
    let branch = summary.summary()["branch"].as_str().unwrap().to_owned();
    let tree = world.repo.git(&["ls-tree", "-r", "--name-only", &branch]);
    let kept: Vec<&str> = tree
        .lines()
        .filter(|f| !f.starts_with(".omoi_os/"))
        .collect();
    let own = [
        "README.md",
        "bye.py",
        "greet.py",
        "loud.py",
        "test_greet.py",
    ];
    assert_eq!(kept, own);
    for file in ["README.md", "greet.py", "test_greet.py"] {
        let at = |rev: &str| world.repo.git(&["rev-parse", &format!("{rev}:{file}")]);
        assert_eq!(at(&branch), at("HEAD"), "{file}");
    }
}

#[test]
fn a_plan_says_where_its_merges_may_conflict() {
    let world = World::demo("scenario.yaml");
    world.start(world.run(&[])).wait().exited(3);
    let show = world.command(&["spec", "show", "SPEC-1"]);
    let shown = world.start(show).wait().exited(0);
    let forecast = shown.stdout.lines().find(|l| l.contains("may conflict"));
    println!("{forecast:?}");
    assert!(forecast.is_some(), "{shown:?}");
    // And what the gates sent back on the way to it, with the reason.
    let show = world.command(&["spec", "show", "SPEC-1", "--rejected"]);
    let shown = world.start(show).wait().exited(0).stdout;
    let phase = "select phase from spec_phase_runs where attempts = 2";
    let phase = story::one(&world.database(), phase).unwrap();
    let refused = shown
        .split_once(&format!("  {phase} refused 0."))
        .unwrap()
        .1;
    let (why, output) = refused.split_once("    | {\n").unwrap();
    assert!(why.contains("\n    - "), "{why}");
    assert!(output.contains("    | }"), "{output}");
}
