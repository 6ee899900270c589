//! What the doctor says where a part of this machine is taken away.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Home;
use super::agents::{Scene, agent_findings};

/// Who starts the doctor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DoctorUser {
    Root,
    /// One with no rights; it sees the program by a name in its own home.
    Ordinary,
}

/// What the doctor found, in a mount namespace that `script` has changed; it is told the home folder.
fn findings_behind(script: &str, user: DoctorUser) -> Vec<Value> {
    let home = Home::new();
    let omoi = env!("CARGO_BIN_EXE_omoi");
    let start = match user {
        DoctorUser::Root => "shift; exec \"$@\"",
        DoctorUser::Ordinary => {
            "chown -R 63321:63321 .; touch omoi; mount --bind \"$2\" omoi; shift 2; \
             exec setpriv --reuid 63321 --regid 63321 --clear-groups ./omoi \"$@\""
        }
    };
    let change = format!("set -e; cd \"$1\"; {script}; {start}");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &change, "sh"])
        .arg(home.path())
        .args([omoi, "doctor", "--offline", "--json", "--data-dir", "data"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    report["findings"].as_array().unwrap().clone()
}

/// The finding whose text begins so.
fn find_text<'a>(findings: &'a [Value], begins: &str) -> Option<&'a Value> {
    let mut found = findings.iter();
    found.find(|found| found["text"].as_str().unwrap().starts_with(begins))
}

/// A part of this machine that the doctor tells of.
struct MachinePart {
    name: &'static str,
    /// What takes it away.
    taken_by: &'static str,
    /// How the finding begins with it and without it, which is a note.
    with: &'static str,
    without: &'static str,
    /// What of the next step is there to be typed.
    next: &'static str,
}

const PARTS: [MachinePart; 4] = [
    MachinePart {
        name: "bubblewrap",
        taken_by: "mount --bind /dev/null /usr/bin/bwrap",
        with: "bubblewrap holds ",
        without: "bubblewrap cannot be used: ",
        next: "`apt install bubblewrap`",
    },
    MachinePart {
        name: "cgroups",
        taken_by: "umount --recursive /sys/fs/cgroup",
        with: "bubblewrap holds ",
        without: "bubblewrap does not hold cpu: no cgroup hierarchy offers `cpu`",
        next: "`mount -t cgroup2 cgroup2 /sys/fs/cgroup`",
    },
    MachinePart {
        name: "overlay",
        // The kernel lays none over another.
        taken_by: "mkdir data below up work; \
            mount -t overlay overlay -o lowerdir=below,upperdir=up,workdir=work data",
        with: "workspaces are laid over prepared checkouts",
        without: "every workspace is a clone of its own, which takes longer: ",
        next: "`--data-dir FOLDER`",
    },
    MachinePart {
        name: "Node",
        taken_by: "for node in $(which -a node); do mount --bind /dev/null \"$node\"; done",
        with: "",
        without: "no Node from 22.12 on, which some agents need",
        // Said where an agent that is installed needs it; see below.
        next: "",
    },
];

#[test]
fn the_doctor_tells_the_truth_about_what_was_taken_away() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: only root can take these parts away");
        return;
    }
    let whole = findings_behind("true", DoctorUser::Root);
    for part in PARTS {
        let name = part.name;
        assert!(find_text(&whole, part.with).is_some(), "{name}: {whole:#?}");
        if name != "Node" {
            // What Node this machine has is its own affair.
            assert!(
                find_text(&whole, part.without).is_none(),
                "{name}: {whole:#?}"
            );
        }
        let findings = findings_behind(part.taken_by, DoctorUser::Root);
        expect_note(&findings, part.without, part.next);
    }
}

/// The finding that begins so is a note, and says what to type.
fn expect_note(findings: &[Value], begins: &str, next: &str) {
    let found = find_text(findings, begins);
    let found = found.unwrap_or_else(|| panic!("no `{begins}` in {findings:#?}"));
    assert_eq!(found["mark"], "note", "{found:#}");
    let told = found["next"].as_str().unwrap_or_default();
    assert!(told.contains(next), "{found:#}");
}

/// What needs no root to be there, and what a user cannot have.
#[test]
fn the_doctor_tells_an_ordinary_user_the_truth_too() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: only root can take these parts away");
        return;
    }
    let clones = "every workspace is a clone of its own, which takes longer: only root may lay";
    let groups = "bubblewrap does not hold cpu: ";
    let whole = findings_behind("true", DoctorUser::Ordinary);
    expect_note(&whole, clones, "start omoi as root");
    expect_note(&whole, groups, "`Delegate=yes`");
    let held = find_text(&whole, "bubblewrap holds ").unwrap();
    let held = held["text"].as_str().unwrap();
    for property in ["memory", "process_count"] {
        let watched = format!("{property} (held by the watcher)");
        assert!(held.contains(&watched), "{held}");
    }
    for part in PARTS {
        if !matches!(part.name, "bubblewrap" | "Node") {
            continue;
        }
        let findings = findings_behind(part.taken_by, DoctorUser::Ordinary);
        expect_note(&findings, part.without, part.next);
        let held = find_text(&findings, "bubblewrap holds ");
        assert_eq!(held.is_some(), part.name == "Node", "{findings:#?}");
    }
}

/// A program path with this `node`, and one without any.
fn path_with(folder: &Path, node: Option<&str>) -> String {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    for name in ["git", "sh"] {
        let place = bin.join(name);
        if !place.exists() {
            std::os::unix::fs::symlink(Path::new("/usr/bin").join(name), place).unwrap();
        }
    }
    let place = bin.join("node");
    match node {
        Some(text) => {
            fs::write(&place, text).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        }
        None => fs::remove_file(place).unwrap_or_default(),
    }
    bin.display().to_string()
}

/// What the doctor says about the agent `acp:qwen` and about Node.
fn agent_and_node(scene: &Scene, path: &str) -> (Value, Value) {
    let list = scene.home.path().join("agents.json");
    let variables = [("AGENTS_LIST", list.to_str().unwrap()), ("PATH", path)];
    let arguments = ["doctor", "--offline", "--json"];
    let found = agent_findings(&scene.home.omoi_with(&variables, &arguments));
    let agent = find_text(&found, "acp:qwen").unwrap().clone();
    let node = ["node", "no Node"]
        .iter()
        .find_map(|begins| find_text(&found, begins));
    (agent, node.cloned().unwrap_or_default())
}

#[test]
fn the_doctor_starts_each_installed_program_and_says_what_came_of_it() {
    let scene = Scene::new();
    let path = path_with(scene.home.path(), None);
    let (missing, _) = agent_and_node(&scene, &path);
    assert_eq!(
        missing["text"],
        "acp:qwen: the agent program `tool` 1.2.3 is not installed"
    );
    assert_eq!(missing["next"], "omoi agents install tool");

    scene.agents(&["install", "tool"]);
    let (found, _) = agent_and_node(&scene, &path);
    assert_eq!(
        found["text"],
        "acp:qwen: tool 1.2.3 starts in a sandbox without network and says `1.2.3`"
    );
    assert_eq!(
        (&found["mark"], &found["next"]),
        (&json!("ok"), &Value::Null)
    );

    // One that says it is another than it should be.
    let scene = Scene::with_program("native", "#!/bin/sh\necho 9.9.9\n");
    scene.agents(&["install", "tool"]);
    let (found, _) = agent_and_node(&scene, &path);
    assert_eq!(found["text"], "acp:qwen: tool 1.2.3 says it is `9.9.9`");
    assert_eq!(found["mark"], "note");
}

#[test]
fn the_doctor_says_what_an_agent_on_node_is_started_with() {
    let scene = Scene::with_program("node", "process.stdout.write('1.2.3')\n");
    scene.agents(&["install", "tool"]);
    let place = scene.home.path().join("bin/node").display().to_string();
    let too_old = format!("; v20.1.0 at {place} is too old");
    for (node, about_agent, about_node, mark) in [
        (
            None,
            "acp:qwen: ",
            "no Node from 22.12 on, which some agents need",
            "note",
        ),
        (Some("v20.1.0"), "acp:qwen: ", &too_old, "note"),
        (
            Some("v24.1.0"),
            "acp:qwen: tool 1.2.3 says it is `v24.1.0`",
            "node v24.1.0 at ",
            "ok",
        ),
    ] {
        let script = node.map(|version| format!("#!/bin/sh\necho {version}\n"));
        let path = path_with(scene.home.path(), script.as_deref());
        let (agent, found) = agent_and_node(&scene, &path);
        let text = found["text"].as_str().unwrap();
        assert!(text.contains(about_node), "{text}");
        assert_eq!(found["mark"], mark, "{text}");
        assert!(
            agent["text"].as_str().unwrap().starts_with(about_agent),
            "{agent}"
        );
        if mark == "note" {
            assert_eq!(found["next"], "omoi agents install node");
            assert_eq!(agent["mark"], "note");
            assert_eq!(agent["next"], "omoi agents install node", "{agent}");
        }
    }
}
