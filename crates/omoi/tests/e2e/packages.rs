//! Projects of Node, Rust and Python with a package each that needs another, which needs a third: a run installs them through
//! the proxy, raises a version in one of its tasks, builds, tests and merges; so again when the registries are gone and nothing
//! is installed any more.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::egress::Registry;
use crate::elsewhere::{path_with, toolchain};
use crate::story;
use crate::world::{World, asset, files_below};

const HOSTS: [(&str, &str); 5] = [
    ("registry.npmjs.org", "npm"),
    ("pypi.org", "pypi-index"),
    ("files.pythonhosted.org", "pypi-files"),
    ("index.crates.io", "crates-index"),
    ("static.crates.io", "crates-files"),
];

/// A configuration in which the registries are those at `registry`.
fn config_of(registry: &Registry, root: &Path) -> String {
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
        Some(3),
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

/// A bundled project, its packages, and the version that a task of its plan raises.
struct PackagedProject {
    kind: &'static str,
    /// Tasks of the plan.
    n_tasks: u32,
    /// What the base commit asks for.
    packages: [&'static str; 3],
    /// Where they lie.
    root: &'static str,
    /// The version that goes.
    replaced: &'static str,
    /// Those that come: the last stays.
    raised: &'static [&'static str],
    /// A file of a package that stays.
    kept_file: &'static str,
    /// A file of the raised version, which holds its last word.
    raised_file: &'static str,
    /// What a version that is not the last changed though its package stays.
    meddled_file: Option<&'static str>,
}

impl PackagedProject {
    /// Every version that comes in.
    fn versions(&self) -> BTreeSet<&str> {
        let asked = self.packages.iter().chain(self.raised);
        asked.copied().collect()
    }

    /// Runs the plan with the registries, then without them.
    fn built_with_and_without_registries(&self) {
        let world = World::with_packages(self.kind);
        let folder = tempfile::tempdir().unwrap();
        let script = fs::read_to_string(asset("tests/assets/packages/registries.py")).unwrap();
        let hosts = HOSTS.map(|(host, _)| host);
        let registry = Registry::start_script(folder.path(), &hosts, &script);
        let text = config_of(&registry, &folder.path().join("root.pem"));
        fs::write(world.beside("config.yaml"), text).unwrap();

        assert!(!shell_lists(&world, self.root), "{}", self.root);
        let built = run_whole(&world);
        let expected = json!([null, self.packages, [self.root]]);
        assert_eq!(installed(&world), expected);
        assert!(shell_lists(&world, self.root), "{}", self.root);
        // No package was taken for work.
        assert!(
            !built.contains(self.root) && built.contains("README.md"),
            "{built}"
        );
        self.told_what_came_in(&world);
        self.found_by_every_start(&world);
        self.raised_in_a_layer_of_its_own(&world, 1);

        drop(registry);
        fs::remove_dir_all(world.data().join("layers")).unwrap();
        assert_eq!(run_whole(&world), built);
        assert_eq!(installed(&world), expected);
        self.raised_in_a_layer_of_its_own(&world, 2);
    }

    /// What set-ups fetched is told with the spec whose checks were given it, and stands on their receipts.
    fn told_what_came_in(&self, world: &World) {
        let log = json_of(world, &["egress", "log", "SPEC-1"]);
        let entries = log.as_array().unwrap().iter();
        let of_setup = entries.filter(|entry| entry["packages_layer"].is_string());
        let told: BTreeSet<_> = of_setup
            .map(|entry| format!("{} {}", entry["outcome"], entry["subject"]))
            .collect();
        let came_in = |version| format!("\"came_in\" \"{version}\"");
        let expected: BTreeSet<_> = self.versions().into_iter().map(came_in).collect();
        assert_eq!(told, expected, "{log:#}");
        let trace = json_of(world, &["trace", "SPEC-1"]);
        let files = trace["packages"].as_array().unwrap().iter();
        let named = files.map(|file| file.as_str().unwrap().split_once(' ').unwrap().0);
        let named: BTreeSet<_> = named.collect();
        assert_eq!(named, self.versions(), "{trace:#}");
        let listed = "select count(*) from receipts where packages like '%\"n_files\":3,%'";
        assert_ne!(story::one(&world.database(), listed).as_deref(), Some("0"));
    }

    /// Every check of the commits found the packages; as root nothing was copied.
    fn found_by_every_start(&self, world: &World) {
        let checks = ("receipts where output not like '[not run: %'", "conditions");
        starts_with(world, checks, &["packages "]);
        let missing = "select count(*) from receipts where conditions like '%without packages%'
            and output not like '[not run: %'";
        assert_eq!(story::one(&world.database(), missing).as_deref(), Some("0"));
        if fs::metadata(world.data()).unwrap().uid() == 0 {
            starts_with(world, checks, &["checkout ", "workspace overlay"]);
            let attempts = ("sandboxes", "start_steps");
            starts_with(world, attempts, &["packages ", "workspace overlay"]);
        }
    }

    /// The task that raised a version had packages of its own, in which the others are those of the base commit; one
    /// that changed another package besides was sent back with its name.
    fn raised_in_a_layer_of_its_own(&self, world: &World, number: u32) {
        let trace = json_of(world, &["trace", &format!("SPEC-{number}")]);
        let (raised, replaced) = (self.raised.last().unwrap(), self.replaced);
        // Numbers of tasks go on from spec to spec; the last one of the plan raises the version.
        let task = number * self.n_tasks;
        let change = format!("TSK-{task:03}: added {raised}; removed {replaced}");
        assert_eq!(trace["dependencies_changed"], json!([change]), "{trace:#}");

        let of_base = layers_compared(world, "is_base");
        let [base] = of_base.as_slice() else {
            panic!("{of_base:?}");
        };
        let own = layers_compared(world, "with_base");
        assert!(!own.is_empty());
        let kept = file_below(base, self.kept_file).unwrap();
        let is_raised = |layer: &Path| {
            file_below(layer, self.raised_file).is_some_and(|text| text.contains("bye"))
        };
        assert!(!is_raised(base), "{}", base.display());
        for layer in &own {
            assert!(is_raised(layer), "{}", layer.display());
            assert_eq!(file_below(layer, self.kept_file).as_ref(), Some(&kept));
        }

        let refused = format!(
            "select coalesce(group_concat(r.output, ''), '') from receipts r join specs s on s.id = r.spec_id
             where s.number = {number} and r.output like '[not run: %'"
        );
        let refused = story::one(&world.database(), &refused).unwrap();
        let told = |file| format!("where no lock file says so: {file}");
        let told = self.meddled_file.map(told);
        assert_eq!(refused.is_empty(), told.is_none(), "{refused}");
        for (line, told) in refused.lines().zip(told.iter().cycle()) {
            assert!(line.contains(told), "{refused}");
        }
    }
}

/// Folders of the packages that were compared as `comparison` says.
fn layers_compared(world: &World, comparison: &str) -> Vec<PathBuf> {
    let layers = fs::read_dir(world.data().join("layers")).unwrap();
    let layers = layers.map(|layer| layer.unwrap().path());
    let is_such = |layer: &PathBuf| {
        let Ok(manifest) = fs::read(layer.join("manifest")) else {
            return false;
        };
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        manifest["content"]["packages"]["comparison"] == comparison
    };
    layers
        .filter(is_such)
        .map(|layer| layer.join("files"))
        .collect()
}

/// The text of the file at the end `path` of a path below `folder`.
fn file_below(folder: &Path, path: &str) -> Option<String> {
    let mut files = files_below(folder).into_iter();
    let file = files.find(|file| file.ends_with(path))?;
    Some(fs::read_to_string(folder.join(file)).unwrap())
}

#[test]
fn a_node_project_is_built_with_its_packages_with_and_without_a_registry() {
    let project = PackagedProject {
        kind: "node",
        n_tasks: 1,
        packages: ["npm:breath@1.0.0", "npm:greeter@1.0.0", "npm:voice@1.0.0"],
        root: "node_modules",
        replaced: "npm:greeter@1.0.0",
        raised: &["npm:greeter@1.1.0", "npm:greeter@1.1.1"],
        kept_file: "node_modules/voice/index.js",
        raised_file: "node_modules/greeter/words.json",
        meddled_file: Some("node_modules/voice/index.js"),
    };
    project.built_with_and_without_registries();
}

#[test]
fn a_rust_project_is_built_with_its_packages_with_and_without_a_registry() {
    let project = PackagedProject {
        kind: "rust",
        n_tasks: 2,
        packages: [
            "crates:wording@1.0.0",
            "crates:wordpart@1.0.0",
            "crates:wordroot@1.0.0",
        ],
        root: ".omoi-packages",
        replaced: "crates:wording@1.0.0",
        raised: &["crates:wording@1.1.0"],
        kept_file: "wordpart-1.0.0/src/lib.rs",
        raised_file: "wording-1.1.0/src/lib.rs",
        meddled_file: None,
    };
    project.built_with_and_without_registries();
}

#[test]
fn a_python_project_is_built_with_its_packages_with_and_without_a_registry() {
    let project = PackagedProject {
        kind: "python",
        n_tasks: 1,
        packages: [
            "pypi:wordbase@1.0.0",
            "pypi:wordlist@1.0.0",
            "pypi:wordstore@1.0.0",
        ],
        root: ".venv",
        replaced: "pypi:wordlist@1.0.0",
        raised: &["pypi:wordlist@1.1.0"],
        kept_file: "site-packages/wordstore.py",
        raised_file: "site-packages/wordlist.py",
        meddled_file: None,
    };
    project.built_with_and_without_registries();
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
