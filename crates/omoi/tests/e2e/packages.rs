//! Projects of Node, Rust and Python with a package each: a run installs it through the proxy, builds, tests and merges;
//! so again when the registries are gone and nothing is installed any more.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::egress::Registry;
use crate::elsewhere::{path_with, toolchain};
use crate::story;
use crate::world::{World, asset};

const HOSTS: [(&str, &str); 5] = [
    ("registry.npmjs.org", "npm"),
    ("pypi.org", "pypi-index"),
    ("files.pythonhosted.org", "pypi-files"),
    ("index.crates.io", "crates-index"),
    ("static.crates.io", "crates-files"),
];

/// A configuration in which the registries are those at `registry`.
fn config_of(registry: &Registry, root: &std::path::Path) -> String {
    let rows = HOSTS.map(|(host, site)| {
        let (address, certificate) = (registry.address(), root.display());
        format!(
            "    - \"host={host}; site={site}; address={address}; certificate={certificate}\"\n"
        )
    });
    format!("egress:\n  registries:\n{}", rows.concat())
}

/// Has `command` install packages, with the toolchain of this machine.
pub(crate) fn prepare(world: &World, command: &mut Command) {
    command.env_remove("SANDBOX_SETUP");
    command.env("PATH", path_with(&toolchain().join("bin")));
    command.arg("--config").arg(world.beside("config.yaml"));
}

/// Has the feature built; returns what the branch holds.
fn run_whole(world: &World) -> String {
    let mut run = world.run(&["--yes"]);
    prepare(world, &mut run);
    let said = world.start(run).wait().exited(0);
    println!("{:?}", said.took);
    let summary = said.summary();
    let criteria = &summary["criteria"];
    assert_eq!(
        criteria["proven"].as_u64(),
        Some(2),
        "{criteria}: {summary:#}"
    );
    world.tree(summary["branch"].as_str().unwrap())
}

/// What is installed for the repository.
fn installed(world: &World) -> Value {
    let mut setup = world.command(&["setup", "--json", "--repo"]);
    setup.arg(world.repo.path());
    prepare(world, &mut setup);
    let said = world.start(setup).wait().exited(0);
    let view: Value = serde_json::from_str(&said.stdout).unwrap();
    json!([view["failure"], view["packages"], view["installed"]])
}

/// Whether a shell over HEAD shows `root`; one that does not has said how to get it.
fn shell_lists(world: &World, root: &str) -> bool {
    let mut shell = world.command(&["sandbox", "shell", "--repo"]);
    shell.arg(world.repo.path());
    prepare(world, &mut shell);
    shell.args(["--", "/bin/sh", "-c", "ls -A; git status --porcelain"]);
    let said = world.start(shell).wait().exited(0);
    let is_told = said.stderr.contains("`omoi setup` installs them");
    let is_there = said.stdout.lines().any(|line| line == root);
    assert!(is_there != is_told, "{said:?}");
    is_there
}

/// How many of the starts that `table` keeps name each of `outcomes`, of all.
fn starts_with(world: &World, (table, column): (&str, &str), outcomes: &[&str]) {
    let like = outcomes.iter().map(|outcome| {
        let (step, outcome) = outcome.split_once(' ').unwrap();
        format!("{column} like '%\"step\":\"{step}\",\"outcome\":\"{outcome}%'")
    });
    let like = like.collect::<Vec<_>>().join(" and ");
    let query =
        format!("select count(*) || ' of ' || count(case when {like} then 1 end) from {table}");
    let told = story::one(&world.database(), &query).unwrap();
    let (all, with) = told.split_once(" of ").unwrap();
    assert!(
        all == with && all != "0",
        "{table}: {told} have {outcomes:?}"
    );
}

/// What a command says as JSON.
fn json_of(world: &World, words: &[&str]) -> Value {
    let mut command = world.command(words);
    command.arg("--json");
    let said = world.start(command).wait().exited(0);
    serde_json::from_str(&said.stdout).unwrap()
}

/// Runs the project `kind` with its registries, then without them; `package` is what it needs, in the folder `root`.
fn built_with_and_without_registries(kind: &str, (package, root): (&str, &str)) {
    let world = World::with_packages(kind);
    let folder = tempfile::tempdir().unwrap();
    let script = fs::read_to_string(asset("tests/assets/packages/registries.py")).unwrap();
    let hosts = HOSTS.map(|(host, _)| host);
    let registry = Registry::start_script(folder.path(), &hosts, &script);
    let text = config_of(&registry, &folder.path().join("root.pem"));
    fs::write(world.beside("config.yaml"), text).unwrap();

    assert!(!shell_lists(&world, root), "{root}");
    let built = run_whole(&world);
    let expected = json!([null, [package], [root]]);
    assert_eq!(installed(&world), expected);
    // What the set-up fetched is told with the spec whose checks were given it, and stands on their receipts.
    assert!(shell_lists(&world, root), "{root}");
    let log = json_of(&world, &["egress", "log", "SPEC-1"]);
    let entries = log.as_array().unwrap().iter();
    let of_setup = entries.filter(|entry| entry["packages_layer"].is_string());
    let mut told: Vec<_> = of_setup
        .map(|entry| (&entry["outcome"], &entry["subject"]))
        .collect();
    // A commit that changes what decides about a set-up has one of its own.
    told.dedup();
    assert_eq!(told, [(&json!("came_in"), &json!(package))], "{log:#}");
    let trace = json_of(&world, &["trace", "SPEC-1"]);
    assert_eq!(trace["packages"].as_array().unwrap().len(), 1, "{trace:#}");
    let listed = "select count(*) from receipts where packages like '%\"n_files\":1,%'";
    assert_ne!(story::one(&world.database(), listed).as_deref(), Some("0"));
    // No package was taken for work.
    assert!(
        !built.contains(root) && built.contains("README.md"),
        "{built}"
    );
    // Every check of the commits found them; as root nothing was copied.
    let checks = ("receipts", "conditions");
    starts_with(&world, checks, &["packages "]);
    let missing = "select count(*) from receipts where conditions like '%without packages%'";
    assert_eq!(story::one(&world.database(), missing).as_deref(), Some("0"));
    if fs::metadata(world.data()).unwrap().uid() == 0 {
        starts_with(&world, checks, &["checkout ", "workspace overlay"]);
        let attempts = ("sandboxes", "start_steps");
        starts_with(&world, attempts, &["packages ", "workspace overlay"]);
    }

    drop(registry);
    fs::remove_dir_all(world.data().join("layers")).unwrap();
    assert_eq!(run_whole(&world), built);
    assert_eq!(installed(&world), expected);
}

#[test]
fn a_node_project_is_built_with_its_package_with_and_without_a_registry() {
    built_with_and_without_registries("node", ("npm:greeter@1.0.0", "node_modules"));
}

#[test]
fn a_rust_project_is_built_with_its_package_with_and_without_a_registry() {
    built_with_and_without_registries("rust", ("crates:wording@1.0.0", ".omoi-packages"));
}

#[test]
fn a_python_project_is_built_with_its_package_with_and_without_a_registry() {
    built_with_and_without_registries("python", ("pypi:wordlist@1.0.0", ".venv"));
}

#[test]
fn a_set_up_that_a_registry_turns_away_says_which_credential_it_wants() {
    let world = World::with_packages("node");
    let folder = tempfile::tempdir().unwrap();
    let script = fs::read_to_string(asset("tests/assets/packages/registries.py")).unwrap();
    let answers = "self.send_response(404 if body is None else 200)";
    assert!(script.contains(answers));
    let script = script.replace(answers, "self.send_response(401)");
    let registry = Registry::start_script(folder.path(), &HOSTS.map(|(host, _)| host), &script);
    let text = config_of(&registry, &folder.path().join("root.pem"));
    fs::write(world.beside("config.yaml"), text).unwrap();
    let mut setup = world.command(&["setup", "--json", "--repo"]);
    setup.arg(world.repo.path());
    prepare(&world, &mut setup);
    let said = world.start(setup).wait().exited(1);
    let view: Value = serde_json::from_str(&said.stdout).unwrap();
    let expected = "`registry.npmjs.org` wants a credential; add `egress.registries: [\"host=registry.npmjs.org; \
        site=npm; credential=NAME\"]`, and write the value of `authorization` into the secret file NAME \
        (docs/packages.md)";
    assert_eq!(view["failure"], expected, "{view:#}");
}
