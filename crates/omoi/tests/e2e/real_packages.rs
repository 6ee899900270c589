//! Real packages with a dependency each: what is missing is told before any model call, and with it
//! in place the same run is delivered.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::elsewhere::{path_with, toolchain};
use crate::world::World;

/// Runs a package manager; its registry must be reachable, or the test fails and says so.
fn fetch(program: &str, arguments: &[&str], folder: &Path) -> String {
    let ran = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output();
    let ran = ran.unwrap_or_else(|error| panic!("`{program}` is needed here: {error}"));
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(ran.stdout).unwrap()
}

/// Runs the idea without the dependency, then goes on with `suite` and `packages` in the person's
/// own `sandbox.read_only`.
fn told_then_delivered(world: &World, missing: &str, (packages, suite): (&Path, Option<&str>)) {
    let path = path_with(&toolchain().join("bin"));
    let mut run = world.run(&["--yes"]);
    run.env("PATH", &path);
    let said = world.start(run).wait().exited(3);
    let summary = said.summary();
    let reason = summary["reason"].as_str().unwrap();
    for part in [
        "suite_red",
        missing,
        "`setup:` of `.omoi.yaml`",
        "sandbox.read_only",
        "--suite",
    ] {
        assert!(reason.contains(part), "{part}: {summary:#}");
    }
    assert_eq!(summary["tokens"], 0, "{summary:#}");
    assert_eq!(summary["suite"]["base_passed"], false, "{summary:#}");
    let printed = summary["suite"]["base_output"].as_str().unwrap();
    assert!(printed.contains(missing), "{summary:#}");

    let config = world.beside("config.yaml");
    let read_only = format!("sandbox: {{read_only: [{}]}}\n", packages.display());
    fs::write(&config, read_only).unwrap();
    let mut again = world.go_on("resume");
    again.env("PATH", &path).arg("--config").arg(&config);
    if let Some(suite) = suite {
        again.args(["--suite", suite]);
    }
    let summary = world.start(again).wait().exited(0).summary();
    let criteria = &summary["criteria"];
    assert_eq!(criteria["proven"], criteria["total"], "{summary:#}");
    assert_eq!(summary["suite"]["base_passed"], true, "{summary:#}");
    assert_ne!(summary["suite"]["base_tests"]["counts"], Value::Null);
}

#[test]
fn a_python_package_with_a_dependency() {
    let world = World::two_tasks("scenario.yaml");
    world.repo.write("requirements.txt", "iniconfig\n");
    let test = fs::read_to_string(world.repo.path().join("test_greet.py")).unwrap();
    world
        .repo
        .write("test_greet.py", format!("import iniconfig\n{test}"));
    world.repo.commit("Read settings");
    let packages = tempfile::tempdir().unwrap();
    let target = packages.path().to_str().unwrap();
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--target",
        target,
        "iniconfig",
    ];
    fetch("python3", &install, packages.path());
    let suite = format!("PYTHONPATH={target} python3 -m unittest");
    told_then_delivered(&world, "iniconfig", (packages.path(), Some(&suite)));
}

#[test]
fn a_node_package_with_a_dependency() {
    let world = World::two_tasks("scenario.yaml");
    let manifest = "{\"name\": \"pads\", \"dependencies\": {\"left-pad\": \"1.3.0\"}}\n";
    world.repo.write("package.json", manifest);
    let test = "const test = require('node:test');\nconst pad = require('left-pad');\n\
        test('pads', () => require('node:assert').equal(pad('a', 2), ' a'));\n";
    world.repo.write("pad.test.js", test);
    world.repo.write(".omoi.yaml", "suite: node --test\n");
    world.repo.commit("Pad");
    let packages = tempfile::tempdir().unwrap();
    let install = [
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "left-pad@1.3.0",
    ];
    fetch("npm", &install, packages.path());
    let suite = format!(
        "ln -s {}/node_modules . && node --test pad.test.js",
        packages.path().display()
    );
    told_then_delivered(&world, "left-pad", (packages.path(), Some(&suite)));
}

#[test]
fn a_rust_package_with_a_dependency() {
    let world = World::rust_crate();
    let packages = tempfile::tempdir().unwrap();
    let vendored = packages.path().join("vendor");
    let manifest = fs::read_to_string(world.repo.path().join("Cargo.toml")).unwrap();
    world.repo.write(
        "Cargo.toml",
        format!("{manifest}\n[dependencies]\nitoa = \"1\"\n"),
    );
    fetch(
        "cargo",
        &["vendor", "--quiet", vendored.to_str().unwrap()],
        world.repo.path(),
    );
    // The packages are elsewhere, and the repository says where.
    let source = format!(
        "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"{}\"\n",
        vendored.display()
    );
    world.repo.write(".cargo/config.toml", source);
    world.repo.commit("Write numbers");
    told_then_delivered(&world, "itoa", (packages.path(), None));
}
