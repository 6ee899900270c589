//! The package managers beside npm, pip and cargo that set-ups run, through the proxy: cold, then with the registry gone.

use omoi_egress::policy::EgressPolicy;
use omoi_testkit::package_clients::{node_client, python_client};

use crate::clients::{NODE_PROJECT, ProxiedClient};
use crate::fixture::Fixture;
use crate::samples::{DAY, publish_greeter, publish_wheel};

/// How one manager of Node is run.
struct NodeManager {
    /// Its program.
    program: String,
    /// The file it locks versions in.
    lock: &'static str,
    /// Where that file says that packages come from, if it does.
    source: Option<&'static str>,
}

/// Has `manager` install for the first time, then by its lock file from the cache alone.
async fn installs_cold_and_again(manager: NodeManager) {
    let mut fixture = Fixture::start().await;
    publish_greeter(&fixture.upstream, fixture.now());
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let first = ProxiedClient::new(&attempt, &fixture.folder.path().join("one"));
    first.write("package.json", NODE_PROJECT);
    let program = manager.program.as_str();
    first.succeed("node", &[program, "install"]).await;
    let says = first.succeed("node", &["-p", "require('greeter')"]).await;
    assert_eq!(says, "hello world\n");
    let lock = first.read(manager.lock);
    // The version of five minutes ago was not seen.
    assert!(
        lock.contains("1.0.0") && !lock.contains("1.1.0") && !lock.contains("127.0.0.1"),
        "{lock}"
    );
    if let Some(source) = manager.source {
        assert!(lock.contains(source), "{lock}");
    }
    assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());
    let arrivals = attempt.session.list_arrivals();
    let names = arrivals.iter().map(|file| file.version.to_string());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["npm:@acme/words@2.0.0", "npm:greeter@1.0.0"]
    );

    fixture.upstream.go_away();
    let attempt = fixture.attempt(EgressPolicy::cache_only()).await;
    let again = ProxiedClient::new(&attempt, &fixture.folder.path().join("two"));
    again.write("package.json", NODE_PROJECT);
    again.write(manager.lock, &lock);
    let args = [program, "install", "--frozen-lockfile"];
    again.succeed("node", &args).await;
    assert_eq!(again.read(manager.lock), lock);
    let says = again.succeed("node", &["-p", "require('greeter')"]).await;
    assert_eq!(says, "hello world\n");
    assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());
}

#[tokio::test(flavor = "multi_thread")]
async fn yarn_installs_from_the_registry_by_the_name_it_knows() {
    installs_cold_and_again(NodeManager {
        program: node_client("yarn/bin/yarn.js"),
        lock: "yarn.lock",
        source: Some("https://registry.yarnpkg.com/greeter/-/greeter-1.0.0.tgz"),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pnpm_installs_cold_and_again_with_the_registry_gone() {
    installs_cold_and_again(NodeManager {
        program: node_client("pnpm/bin/pnpm.cjs"),
        lock: "pnpm-lock.yaml",
        source: None,
    })
    .await;
}

/// Has `commands` lock and install `chimes`, then has the last of them install by `lock` from the cache alone.
async fn installs_wheels(manifest: &str, lock: &str, commands: &[&[&str]]) {
    let mut fixture = Fixture::start().await;
    let (old, young) = (fixture.now() - DAY * 30, fixture.now() - DAY);
    let needs = "Requires-Dist: bells>=2\n";
    let versions = [("1.0", old), ("1.1", young)];
    publish_wheel(&fixture.upstream, "chimes", needs, &versions);
    publish_wheel(&fixture.upstream, "bells", "", &[("2.0", old)]);
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let first = ProxiedClient::new(&attempt, &fixture.folder.path().join("one"));
    first.write("pyproject.toml", manifest);
    for command in commands {
        first.succeed("sh", command).await;
    }
    let imports =
        ".venv/bin/python -c 'import bells, chimes; print(chimes.VERSION, bells.VERSION)'";
    let versions = ["-c", imports];
    assert_eq!(first.succeed("sh", &versions).await, "1.0 2.0\n");
    assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());

    fixture.upstream.go_away();
    let attempt = fixture.attempt(EgressPolicy::cache_only()).await;
    let again = ProxiedClient::new(&attempt, &fixture.folder.path().join("two"));
    again.write("pyproject.toml", manifest);
    again.write(lock, &first.read(lock));
    again.succeed("sh", commands[commands.len() - 1]).await;
    assert_eq!(again.succeed("sh", &versions).await, "1.0 2.0\n");
    assert_eq!(again.read(lock), first.read(lock));
    assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());
}

#[tokio::test(flavor = "multi_thread")]
async fn uv_installs_cold_and_again_with_the_registry_gone() {
    let manifest = "[project]\nname = \"p\"\nversion = \"1\"\nrequires-python = \">=3.9\"\ndependencies = [\"chimes\"]\n";
    let uv = python_client("bin/uv");
    let run = |words: &str| format!("UV_PYTHON_DOWNLOADS=never {uv} {words}");
    let (lock, sync) = (run("lock"), run("sync --frozen"));
    installs_wheels(
        manifest,
        "uv.lock",
        &[&["-c", lock.as_str()], &["-c", sync.as_str()]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poetry_installs_cold_and_again_with_the_registry_gone() {
    let manifest = "[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\npython = \">=3.9\"\nchimes = \"*\"\n";
    let site = python_client("");
    // As a set-up has it: the environment lies in the project.
    let run = |words: &str| {
        format!("PYTHONPATH={site} POETRY_VIRTUALENVS_IN_PROJECT=true python3 -m poetry {words}")
    };
    let (lock, install) = (run("lock"), run("install --no-interaction"));
    let commands: [&[&str]; 2] = [&["-c", lock.as_str()], &["-c", install.as_str()]];
    installs_wheels(manifest, "poetry.lock", &commands).await;
}
