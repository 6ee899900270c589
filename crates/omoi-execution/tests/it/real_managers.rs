//! npm, pnpm, yarn, pip and cargo as they are: what they make of another lock file is explained by it.

use std::process::Command;
use std::time::Duration;

use omoi_domain::egress::EgressMode;
use omoi_domain::sandbox::SandboxRung;
use omoi_execution::command::CommandRun;
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_git::object::ObjectId;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::package_clients::node_client;

use crate::checkout_check::CheckAt;
use crate::install_packages::on_rung;

/// Registries that run beside a command.
const REGISTRY: &str = include_str!("../assets/registry.py");

/// A commit on `parent` with `files`.
async fn commit_files(
    it: &TestDeployment,
    parent: &ObjectId,
    files: &[(&str, String)],
) -> ObjectId {
    let mut commit = parent.clone();
    for (path, text) in files {
        commit = it.commit_on(&commit, path, Some(text)).await;
    }
    commit
}

async fn run(
    it: &TestDeployment,
    commit: &ObjectId,
    (toolbox, command): (&SandboxToolchain, &str),
) -> CommandRun {
    let check = CheckAt {
        commit,
        command,
        toolbox,
        // As for a task whose plan names the lock file.
        setup_mode: EgressMode::Registries,
    };
    check.run(it).await
}

/// Files of a commit, by path.
type CommitFiles<'a> = &'a [(&'a str, String)];

/// Runs `command` with the packages of a base commit with `before`, then with those of one that has `after` on top.
/// What the second set-up made is plain only if the lock files explain it.
async fn changed_lock_file(
    toolbox: SandboxToolchain,
    (before, after): (CommitFiles<'_>, CommitFiles<'_>),
    (command, expected): (&str, [&str; 2]),
) {
    let (mut it, _state) = on_rung(SandboxRung::Bubblewrap, |parts| {
        parts.setup.timeout = Duration::from_mins(2);
    })
    .await;
    let registry = [("registry.py", REGISTRY.to_owned())];
    let base = commit_files(&it, &it.base, &registry).await;
    let base = commit_files(&it, &base, before).await;
    it.spec.base_sha = base.as_str().to_owned();
    let changed = commit_files(&it, &base, after).await;
    for (commit, expected) in [(&base, expected[0]), (&changed, expected[1])] {
        let ran = run(&it, commit, (&toolbox, command)).await;
        assert_eq!(ran.output.trim(), expected, "{}", ran.workspace);
        let is_uncompared = ran.workspace.contains("compared with nothing");
        assert!(!is_uncompared, "{}", ran.workspace);
    }
}

fn set_up_by(commands: &[&str]) -> SandboxToolchain {
    SandboxToolchain {
        setup: commands.iter().map(|one| (*one).to_owned()).collect(),
        ..SandboxToolchain::default()
    }
}

/// `folder version needs` of each package, as npm writes them.
fn node_lock(asked: &str, places: &[(&str, &str, &str)]) -> [(&'static str, String); 2] {
    let entries = places.iter().map(|(folder, version, needs)| {
        let (_, name) = folder.rsplit_once("node_modules/").unwrap();
        let url = format!("https://registry.npmjs.org/{name}/-/{name}-{version}.tgz");
        format!(
            r#""{folder}": {{"version": "{version}", "resolved": "{url}", "bin": {{"{name}": "cli.js"}},
            "dependencies": {{{needs}}}}}"#
        )
    });
    let entries = entries.collect::<Vec<_>>().join(",");
    let own = format!(r#""name": "p", "version": "1.0.0", "dependencies": {{{asked}}}"#);
    let lock = format!(
        r#"{{"name": "p", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {{"": {{{own}}}, {entries}}}}}"#
    );
    [
        ("package.json", format!("{{{own}}}")),
        ("package-lock.json", lock),
    ]
}

#[tokio::test]
async fn npm_moves_replaces_and_adds_packages() {
    let needs = r#""a": "2.0.0""#;
    let before = node_lock(
        r#""a": "1.0.0", "b": "1.0.0", "e": "1.0.0""#,
        &[
            ("node_modules/a", "1.0.0", ""),
            ("node_modules/b", "1.0.0", needs),
            ("node_modules/b/node_modules/a", "2.0.0", ""),
            ("node_modules/e", "1.0.0", ""),
        ],
    );
    let after = node_lock(
        r#""b": "1.0.0", "d": "1.0.0", "e": "2.0.0""#,
        &[
            ("node_modules/a", "2.0.0", ""),
            ("node_modules/b", "1.0.0", needs),
            ("node_modules/d", "1.0.0", ""),
            ("node_modules/e", "2.0.0", ""),
        ],
    );
    let toolbox =
        set_up_by(&["python3 registry.py npm ci --no-audit --registry=http://127.0.0.1:8123/"]);
    let command = "for name in a b d e; do ! command -v $name >/dev/null || $name; done";
    let expected = [
        "a 1.0.0\nb 1.0.0\ne 1.0.0",
        "a 2.0.0\nb 1.0.0\nd 1.0.0\ne 2.0.0",
    ];
    changed_lock_file(toolbox, (&before, &after), (command, expected)).await;
}

#[tokio::test]
async fn pip_replaces_and_adds_packages() {
    let lock = |text: &str| [("requirements.txt", text.to_owned())];
    let before = lock("words==1.0.0\nkept==1.0.0\n");
    let after = lock("words==2.0.0\nkept==1.0.0\nextra==1.0.0\n");
    let toolbox = set_up_by(&[
        "python3 -m venv .venv",
        "python3 registry.py .venv/bin/python -m pip install --index-url http://127.0.0.1:8123/simple \
         -r requirements.txt",
    ]);
    let command = "for name in words kept extra; do ! command -v $name >/dev/null || $name; done";
    let expected = ["1.0.0\n1.0.0", "2.0.0\n1.0.0\n1.0.0"];
    changed_lock_file(toolbox, (&before, &after), (command, expected)).await;
}

#[tokio::test]
async fn a_first_python_package_brings_an_environment() {
    // At the root, and in a folder that the base does not have.
    for folder in ["", "api/"] {
        // It is there already, so that no registry is needed.
        let list = format!("{folder}requirements.txt");
        let after = [(list.as_str(), "pip>=1\n".to_owned())];
        let command = format!("readlink {folder}.venv/bin/python || echo none");
        let expected = ["none", "python3"];
        let toolbox = SandboxToolchain::default();
        changed_lock_file(toolbox, (&[], &after), (&command, expected)).await;
    }
}

/// What the registry says of a package in a version, asked for by `flag`.
fn registry_says(flag: &str, name: &str, version: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("registry.py");
    std::fs::write(&script, REGISTRY).unwrap();
    let mut python = Command::new("python3");
    let said = python.arg(&script).args([flag, name, version]).output();
    String::from_utf8(said.unwrap().stdout).unwrap()
}

/// A package in a version, and those that it needs.
type LockedNode<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn node_manifest(asked: &[(&str, &str)]) -> String {
    let asked = asked
        .iter()
        .map(|(name, version)| format!(r#""{name}": "{version}""#));
    let asked = asked.collect::<Vec<_>>().join(", ");
    format!(r#"{{"name": "p", "version": "1.0.0", "dependencies": {{{asked}}}}}"#)
}

/// The files of a project of pnpm.
fn pnpm_lock(asked: &[(&str, &str)], locked: &[LockedNode<'_>]) -> [(&'static str, String); 2] {
    let asked_lines = asked.iter().map(|(name, version)| {
        format!("      {name}:\n        specifier: {version}\n        version: {version}\n")
    });
    let packages = locked.iter().map(|(name, version, _)| {
        let sum = registry_says("--integrity", name, version);
        format!("\n  {name}@{version}:\n    resolution: {{integrity: {sum}}}\n    hasBin: true\n")
    });
    let snapshots = locked.iter().map(|(name, version, needs)| {
        let lines = needs
            .iter()
            .map(|(name, version)| format!("      {name}: {version}\n"));
        match lines.collect::<String>() {
            none if none.is_empty() => format!("\n  {name}@{version}: {{}}\n"),
            lines => format!("\n  {name}@{version}:\n    dependencies:\n{lines}"),
        }
    });
    let lock = format!(
        "lockfileVersion: '9.0'\n\nsettings:\n  autoInstallPeers: true\n  excludeLinksFromLockfile: false\n\n\
         importers:\n\n  .:\n    dependencies:\n{}\npackages:\n{}\nsnapshots:\n{}",
        asked_lines.collect::<String>(),
        packages.collect::<String>(),
        snapshots.collect::<String>(),
    );
    [
        ("package.json", node_manifest(asked)),
        ("pnpm-lock.yaml", lock),
    ]
}

/// The files of a project of yarn.
fn yarn_lock(asked: &[(&str, &str)], locked: &[LockedNode<'_>]) -> [(&'static str, String); 2] {
    let entries = locked.iter().map(|(name, version, needs)| {
        let from = format!("http://127.0.0.1:8123/{name}/-/{name}-{version}.tgz");
        let sum = registry_says("--integrity", name, version);
        let lines = needs.iter().map(|(name, version)| format!("    {name} \"{version}\"\n"));
        let needs = match lines.collect::<String>() {
            none if none.is_empty() => none,
            lines => format!("  dependencies:\n{lines}"),
        };
        format!(
            "\n{name}@{version}:\n  version \"{version}\"\n  resolved \"{from}\"\n  integrity {sum}\n{needs}"
        )
    });
    let entries = entries.collect::<String>();
    let lock = format!("# yarn lockfile v1\n\n{entries}");
    [("package.json", node_manifest(asked)), ("yarn.lock", lock)]
}

/// A set-up by a manager of Node that tests bring along.
fn set_up_by_node(program: &str, words: &str) -> SandboxToolchain {
    let program = node_client(program);
    let roots = std::path::Path::new(&program).ancestors().nth(3).unwrap();
    SandboxToolchain {
        roots: vec![roots.to_path_buf()],
        ..set_up_by(&[&format!(
            "python3 registry.py node {program} install --frozen-lockfile {words}"
        )])
    }
}

/// Prints what each program that is offered says.
const NODE_PROGRAMS: &str =
    "for name in a b d e f; do ! command -v $name >/dev/null || $name; done";

#[tokio::test]
async fn pnpm_raises_adds_and_hoists_packages() {
    let before = pnpm_lock(
        &[("b", "1.0.0"), ("e", "1.0.0"), ("g", "1.0.0")],
        &[
            ("a", "1.0.0", &[]),
            ("b", "1.0.0", &[("a", "1.0.0")]),
            ("e", "1.0.0", &[]),
            ("f", "1.0.0", &[]),
            ("g", "1.0.0", &[("f", "1.0.0"), ("e", "1.0.0")]),
        ],
    );
    // `b` is raised with what it needs, `d` is new with something new and something that was there, `e` stays in its old
    // version for `g` alone, and `f`, which `g` alone needed, is asked for by the project.
    let after = pnpm_lock(
        &[
            ("b", "2.0.0"),
            ("d", "1.0.0"),
            ("e", "2.0.0"),
            ("f", "1.0.0"),
            ("g", "1.0.0"),
        ],
        &[
            ("a", "2.0.0", &[]),
            ("b", "2.0.0", &[("a", "2.0.0")]),
            ("d", "1.0.0", &[("f", "1.0.0"), ("h", "1.0.0")]),
            ("e", "1.0.0", &[]),
            ("e", "2.0.0", &[]),
            ("f", "1.0.0", &[]),
            ("g", "1.0.0", &[("f", "1.0.0"), ("e", "1.0.0")]),
            ("h", "1.0.0", &[]),
        ],
    );
    let toolbox = set_up_by_node("pnpm/bin/pnpm.cjs", "--registry=http://127.0.0.1:8123/");
    let expected = ["b 1.0.0\ne 1.0.0", "b 2.0.0\nd 1.0.0\ne 2.0.0\nf 1.0.0"];
    changed_lock_file(toolbox, (&before, &after), (NODE_PROGRAMS, expected)).await;
}

#[tokio::test]
async fn yarn_raises_and_adds_packages() {
    let before = yarn_lock(
        &[("b", "1.0.0"), ("e", "1.0.0")],
        &[
            ("a", "1.0.0", &[]),
            ("b", "1.0.0", &[("a", "1.0.0")]),
            ("e", "1.0.0", &[]),
        ],
    );
    let after = yarn_lock(
        &[("b", "2.0.0"), ("d", "1.0.0"), ("e", "1.0.0")],
        &[
            ("a", "2.0.0", &[]),
            ("b", "2.0.0", &[("a", "2.0.0")]),
            ("d", "1.0.0", &[("f", "1.0.0")]),
            ("e", "1.0.0", &[]),
            ("f", "1.0.0", &[]),
        ],
    );
    let toolbox = set_up_by_node("yarn/bin/yarn.js", "--no-progress");
    let expected = [
        "a 1.0.0\nb 1.0.0\ne 1.0.0",
        "a 2.0.0\nb 2.0.0\nd 1.0.0\ne 1.0.0\nf 1.0.0",
    ];
    changed_lock_file(toolbox, (&before, &after), (NODE_PROGRAMS, expected)).await;
}

/// The lock file of cargo for crates in versions, and the manifest that asks for them.
fn cargo_lock(crates: &[(&str, &str)]) -> [(&'static str, String); 3] {
    let entries = crates.iter().map(|(name, version)| {
        let source = "registry+https://github.com/rust-lang/crates.io-index";
        let sum = registry_says("--sum", name, version);
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\nchecksum = \"{sum}\"\n\n"
        )
    });
    let asked = crates
        .iter()
        .map(|(name, version)| format!("{name} = \"{version}\"\n"));
    let names = crates.iter().map(|(name, _)| format!(" \"{name}\",\n"));
    let own = format!(
        "[[package]]\nname = \"x\"\nversion = \"0.1.0\"\ndependencies = [\n{}]\n",
        names.collect::<String>()
    );
    let lock = format!("version = 4\n\n{}{own}", entries.collect::<String>());
    let manifest =
        "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n";
    [
        (
            "Cargo.toml",
            format!("{manifest}{}", asked.collect::<String>()),
        ),
        ("Cargo.lock", lock),
        ("src/lib.rs", String::new()),
    ]
}

#[tokio::test]
async fn cargo_replaces_and_adds_crates() {
    let before = cargo_lock(&[("kept", "1.0.0"), ("num", "1.0.0")]);
    let after = cargo_lock(&[("kept", "1.0.0"), ("more", "1.0.0"), ("num", "2.0.0")]);
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(sysroot.unwrap().stdout).unwrap();
    let sysroot = std::path::PathBuf::from(sysroot.trim());
    let toolbox = SandboxToolchain {
        path: vec![sysroot.join("bin")],
        roots: vec![sysroot],
        ..set_up_by(&[
            "python3 registry.py cargo fetch --locked --config 'source.crates-io.replace-with=\"local\"' \
             --config 'source.local.registry=\"sparse+http://127.0.0.1:8123/index/\"'",
        ])
    };
    let command = "cd .omoi-packages/cargo/registry/cache/* && ls";
    let expected = [
        "kept-1.0.0.crate\nnum-1.0.0.crate",
        "kept-1.0.0.crate\nmore-1.0.0.crate\nnum-2.0.0.crate",
    ];
    changed_lock_file(toolbox, (&before, &after), (command, expected)).await;
}
