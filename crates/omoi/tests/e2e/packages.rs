//! Projects that need packages of npm, PyPI and crates.io: they are installed once through the proxy, and the checks,
//! which have no network, find them; so again when the registries are gone.

use std::fs;
use std::process::Command;

use serde_json::Value;

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
fn prepare(command: &mut Command) {
    command.env_remove("SANDBOX_SETUP");
    command.env("PATH", path_with(&toolchain().join("bin")));
}

/// What `omoi setup` says.
fn set_up(world: &World, more: &[&str]) -> Value {
    let mut setup = world.command(&["setup", "--json", "--repo"]);
    setup.arg(world.repo.path()).args(more);
    prepare(&mut setup);
    setup.arg("--config").arg(world.beside("config.yaml"));
    let said = world.start(setup).wait();
    let view = serde_json::from_str(&said.stdout);
    view.unwrap_or_else(|_| panic!("{said:?}"))
}

/// Has the feature built; the suite needs packages of all three registries.
fn run_all(world: &World) {
    let mut run = world.run(&["--yes", "--suite", "sh check.sh"]);
    prepare(&mut run);
    run.arg("--config").arg(world.beside("config.yaml"));
    world.start(run).wait().exited(0);
}

#[test]
fn packages_of_three_registries_are_installed_once_and_again_without_them() {
    let world = World::with_packages();
    let folder = tempfile::tempdir().unwrap();
    let script = fs::read_to_string(asset("tests/assets/packages/registries.py")).unwrap();
    let hosts = HOSTS.map(|(host, _)| host);
    let registry = Registry::start_script(folder.path(), &hosts, &script);
    let text = config_of(&registry, &folder.path().join("root.pem"));
    fs::write(world.beside("config.yaml"), text).unwrap();

    let view = set_up(&world, &[]);
    assert_eq!(view["failure"], Value::Null, "{view:#}");
    let packages = [
        "crates:numerals@1.0.0",
        "npm:greeter@1.0.0",
        "pypi:wordlist@1.0.0",
    ];
    let came: Vec<&str> = view["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(came, packages, "{view:#}");
    let installed = serde_json::json!([".omoi-packages", "node/node_modules", "python/.venv"]);
    assert_eq!(view["installed"], installed, "{view:#}");

    // The suite and every check need all three packages, and have no network.
    run_all(&world);
    let origins = "select count(*) from receipts where conditions like '%with the packages of%'";
    let told = story::one(&world.database(), origins).unwrap();
    assert_ne!(told, "0");
    // No package was taken for work.
    let branch = world
        .repo
        .git(&["branch", "--list", "omoi/*", "--format=%(refname:short)"]);
    let tree = world.repo.git(&["ls-tree", "-r", "--name-only", &branch]);
    assert!(tree.contains("node/package.json"), "{tree}");
    assert!(
        !tree.contains("node_modules") && !tree.contains(".venv"),
        "{tree}"
    );

    drop(registry);
    let view = set_up(&world, &["--rebuild"]);
    assert_eq!(view["failure"], Value::Null, "{view:#}");
    assert_eq!(view["installed"], installed, "{view:#}");
    run_all(&world);
}
