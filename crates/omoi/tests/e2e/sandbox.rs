//! What people and scripts are told about sandboxes, and the shell in one.

use serde_json::Value;

use crate::copies::list_copies;
use crate::world::World;

#[test]
fn a_probe_tells_each_property_of_each_rung() {
    let world = World::two_tasks("scenario.yaml");
    let probe = world.command(&["sandbox", "probe", "--json"]);
    let said = world.start(probe).wait().exited(0);
    let told: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(told["used"], "bubblewrap");
    let rungs = told["rungs"].as_array().unwrap();
    let names: Vec<&str> = rungs
        .iter()
        .filter_map(|rung| rung["rung"].as_str())
        .collect();
    assert_eq!(names, ["bubblewrap", "container", "landlock", "process"]);
    for rung in rungs {
        let Some(properties) = rung["properties"].as_array() else {
            assert!(
                rung["reason"].is_string() && rung["remedy"].is_string(),
                "{rung}"
            );
            continue;
        };
        assert!(
            rung["version"].as_str().unwrap().contains("Linux"),
            "{rung}"
        );
        for property in properties {
            let is_told = property["held"] == true || property["remark"].is_string();
            assert!(is_told, "{property}");
        }
    }
    let landlock = rungs[0]["properties"].as_array().unwrap();
    let landlock = landlock.iter().find(|one| one["property"] == "landlock");
    let remark = landlock.unwrap()["remark"].as_str().unwrap();
    assert!(remark.starts_with("held by Landlock ABI"), "{remark}");

    let said = world
        .start(world.command(&["sandbox", "probe"]))
        .wait()
        .exited(0);
    assert!(
        said.stdout.starts_with("bubblewrap  (used)  bubblewrap "),
        "{said:?}"
    );
    assert!(
        said.stdout.contains("\n  processes        missing  "),
        "{said:?}"
    );
}

#[test]
fn a_shell_sees_what_a_check_would() {
    let world = World::two_tasks("scenario.yaml");
    std::fs::write(world.repo.path().join("not-committed"), "x").unwrap();
    // What a check gets beside the commit: a file that a person lists, and the limits of the repository's own file.
    let name = world.repo_name();
    world.repo.write("listed", "a fixture\n");
    list_copies(
        &world,
        &[
            format!("project={name}; path=listed"),
            format!("project={name}; secret=not-committed"),
        ],
    );
    world
        .repo
        .write(".omoi.yaml", "sandbox: {open_files: 200}\n");
    world.repo.git(&["add", ".omoi.yaml"]);
    world
        .repo
        .git(&["commit", "--quiet", "--message", "Lower a limit"]);
    let repo = world.repo.path().to_str().unwrap().to_owned();
    let script = "pwd; git rev-parse --is-inside-work-tree; test -e not-committed || echo clean; \
                  cat listed; git status --porcelain; ulimit -n; \
                  echo x >README.new; ls /root 2>/dev/null; exit 7";
    let shell = [
        "sandbox", "shell", "--repo", &repo, "--", "/bin/sh", "-c", script,
    ];
    let said = world.start(world.command(&shell)).wait().exited(7);
    assert_eq!(said.stdout, "/sandbox\ntrue\nclean\na fixture\n200\n");
    assert!(!world.repo.path().join("README.new").exists());
    let left = std::fs::read_dir(world.data().join("shells")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mirror.git"]);
}

#[test]
fn a_shell_that_is_ended_or_killed_leaves_nothing() {
    let world = World::two_tasks("scenario.yaml");
    let repo = world.repo.path().to_str().unwrap().to_owned();
    let shells = world.data().join("shells");
    let of_shells = || {
        let entries = std::fs::read_dir(&shells).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.filter(|name| name != "mirror.git").count()
    };
    let long = [
        "sandbox",
        "shell",
        "--repo",
        &repo,
        "--",
        "/bin/sh",
        "-c",
        "echo up; exec sleep 600",
    ];
    for signal in ["HUP", "TERM"] {
        let mut shell = world.start(world.command(&long));
        shell.wait_for_output("up");
        shell.send_signal(signal);
        shell.wait();
        assert_eq!(of_shells(), 0, "{signal}");
    }
    let mut killed = world.start(world.command(&long));
    killed.wait_for_output("up");
    killed.kill();
    assert_eq!(of_shells(), 1);
    let next = ["sandbox", "shell", "--repo", &repo, "--", "/bin/true"];
    world.start(world.command(&next)).wait().exited(0);
    assert_eq!(of_shells(), 0);
}
