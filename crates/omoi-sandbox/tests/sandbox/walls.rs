//! Each wall taken away turns its rows of the escape table red, and is missed by the probe of properties.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{Property, ReadOnlyMount, SandboxFloor};

use crate::escape::{bait_platform, probes_launch};
use crate::support::{Platform, held_status};

/// One wall, what takes it away, and who must notice.
struct TakenWall {
    name: &'static str,
    /// For `wall_breaker.py`; `DIR` is the platform's folder.
    edits: &'static str,
    /// Reported as missing.
    missed: Option<Property>,
    /// Rows that turn red.
    red: &'static [&'static str],
    /// Rows that another wall still holds.
    held: &'static [&'static str],
}

const WALLS: &[TakenWall] = &[
    TakenWall {
        name: "own network",
        edits: r#"{"drop": {"--unshare-net": 0}}"#,
        missed: Some(Property::Network),
        red: &["use a network interface", "connect to the host's loopback"],
        held: &["connect to an abstract socket of the host"],
    },
    TakenWall {
        name: "own network, Landlock",
        edits: r#"{"drop": {"--unshare-net": 0}, "without_landlock": true}"#,
        missed: Some(Property::Landlock),
        red: &["connect to an abstract socket of the host"],
        held: &[],
    },
    TakenWall {
        name: "own processes",
        edits: r#"{"drop": {"--unshare-pid": 0}, "replace": {"--proc /proc": ["--ro-bind", "/proc", "/proc"]}}"#,
        missed: Some(Property::Processes),
        red: &["see processes of the host"],
        held: &["signal processes of the host"],
    },
    TakenWall {
        name: "own names",
        edits: r#"{"drop": {"--unshare-uts": 0, "--unshare-ipc": 0, "--hostname": 1}}"#,
        missed: None,
        red: &["share a namespace with the host"],
        held: &[],
    },
    TakenWall {
        name: "system-call filter",
        edits: r#"{"drop": {"--seccomp": 1}}"#,
        missed: Some(Property::Kernel),
        red: &[
            "call personality",
            "call keyctl",
            "open a socket of family NETLINK",
        ],
        // The second wall.
        held: &["plant a whiteout, which hides a file of the layer below"],
    },
    TakenWall {
        name: "system-call filter, Landlock",
        edits: r#"{"drop": {"--seccomp": 1}, "without_landlock": true}"#,
        missed: Some(Property::Kernel),
        red: &["plant a whiteout, which hides a file of the layer below"],
        held: &["make a device"],
    },
    TakenWall {
        name: "mounts",
        edits: r#"{"first": ["--ro-bind", "/", "/mount-too-many"]}"#,
        missed: None,
        red: &[],
        // The second wall.
        held: &["read the host through a mount nobody asked for"],
    },
    TakenWall {
        name: "mounts, Landlock",
        edits: r#"{"first": ["--ro-bind", "/", "/mount-too-many"], "add": ["--ro-bind", "DIR", "DIR"],
            "without_landlock": true}"#,
        missed: Some(Property::Files),
        red: &[
            "read the host through a mount nobody asked for",
            "see platform data",
            "see another workspace",
            "read what changed in another workspace",
            "follow a link in the workspace to the host",
            "find sockets of the host",
            "inherit a descriptor",
        ],
        held: &[],
    },
    TakenWall {
        name: "read-only root, Landlock",
        edits: r#"{"drop": {"--remount-ro": 1}, "without_landlock": true}"#,
        missed: Some(Property::Files),
        red: &["write outside workspace and scratch space"],
        held: &[],
    },
    TakenWall {
        name: "protected paths",
        edits: r#"{"targets": ["/sandbox/"]}"#,
        missed: Some(Property::ProtectedPaths),
        red: &[
            "tamper with a protected folder",
            "tamper with a protected file",
        ],
        held: &[],
    },
    TakenWall {
        name: "devices",
        edits: r#"{"replace": {"--dev /dev": ["--dev-bind", "/dev", "/dev"]}, "drop": {"--remount-ro": 1}}"#,
        missed: Some(Property::Devices),
        red: &["find a dangerous device"],
        held: &[],
    },
    TakenWall {
        name: "identity",
        edits: r#"{"replace": {"--uid 1000": ["--uid", "0"], "--gid 1000": ["--gid", "0"]}}"#,
        missed: Some(Property::Identity),
        red: &["be root in any way"],
        held: &[],
    },
    TakenWall {
        name: "nested user spaces",
        edits: r#"{"drop": {"--disable-userns": 0, "--seccomp": 1}, "without_landlock": true}"#,
        missed: Some(Property::Kernel),
        red: &["unshare -U (the program)"],
        held: &[],
    },
    TakenWall {
        name: "environment",
        edits: r#"{"add": ["--setenv", "LEAKED", "x"]}"#,
        missed: None,
        red: &["inherit an environment"],
        held: &[],
    },
    TakenWall {
        name: "size of scratch space",
        edits: r#"{"sizes": true}"#,
        missed: Some(Property::TempSize),
        red: &["fill scratch space beyond the limit"],
        held: &[],
    },
];

/// A mount that goes with this value.
struct OwnMount(PathBuf);

impl OwnMount {
    fn bind(from: &Path, at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        assert!(
            mount
                .arg("--bind")
                .args([from, &at])
                .status()
                .unwrap()
                .success()
        );
        Self(at)
    }
}

impl Drop for OwnMount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Walls of workspaces that are laid over a layer, which takes root.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wall_of_an_overlay_taken_away_turns_its_rows_red() {
    const CHANGED: &str = "change the layer below by way of the workspace";
    const PARTS: &str = "open the folders that an overlay is made of";
    const OTHERS: &str = "read what changed in another workspace";
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let platform = Platform::with_rung(SandboxRung::Bubblewrap, &SandboxFloor::none()).await;
    let bait = bait_platform(&platform);
    let rows = [CHANGED, PARTS, OTHERS];
    let whole = platform.run(probes_launch(&platform, &bait, &rows)).await;
    let table = bait.layer.judge_table(&whole.stdout.to_text());
    assert_eq!(table.matches("\theld\t").count(), rows.len(), "{table}");

    // What the mounts cover, shown beside them.
    let beside = OwnMount::bind(platform.dir.path(), platform.path("beside"));
    let mut launch = probes_launch(&platform, &bait, &[PARTS, OTHERS]);
    launch.name += "-beside";
    for (dir, part) in [
        (&bait.layer.workspace, "upper"),
        (&bait.layer.neighbour, "upper"),
    ] {
        launch.read_only.push(ReadOnlyMount {
            host: beside.0.join(dir.file_name().unwrap()).join(part),
            inside: dir.join(part),
        });
    }
    let exit = platform.run(launch).await;
    let table = bait.layer.judge_table(&exit.stdout.to_text());
    assert_eq!(table.matches("\tESCAPED\t").count(), 2, "{table}");

    // The layer itself in place of a workspace over it.
    let bare = OwnMount::bind(&bait.layer.lower, platform.path("bare"));
    platform.provider.prepare_workspace(&bare.0).unwrap();
    let mut launch = probes_launch(&platform, &bait, &[CHANGED]);
    launch.name += "-bare";
    launch.workspace.clone_from(&bare.0);
    let exit = platform.run(launch).await;
    let table = bait.layer.judge_table(&exit.stdout.to_text());
    assert_eq!(table.matches("\tESCAPED\t").count(), 1, "{table}");
}

/// As an ordinary user only: root's mounts would hide the stand-in from the user it becomes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wall_taken_away_turns_its_rows_red() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    for wall in WALLS {
        let stand_in = tempfile::tempdir().unwrap();
        let program: PathBuf = stand_in.path().join("bwrap");
        let source = stand_in.path().join("source");
        fs::write(&source, include_str!("wall_breaker.py")).unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
        // By another process: a descriptor of ours, inherited by a program that another test starts at this
        // moment, would keep the copy from being run.
        let copied = Command::new("cp").arg(&source).arg(&program).status();
        assert!(copied.unwrap().success());
        let edits = stand_in.path().join("edits.json");
        let platform =
            Platform::with_config(SandboxRung::Bubblewrap, &SandboxFloor::none(), |config| {
                let dir = config.state_dir.parent().unwrap().display().to_string();
                fs::write(&edits, wall.edits.replace("DIR", &dir)).unwrap();
                config.bubblewrap = program;
            })
            .await;
        let bait = bait_platform(&platform);
        let names = [wall.red, wall.held].concat();
        let exit = platform.run(probes_launch(&platform, &bait, &names)).await;
        let table = exit.stdout.to_text();
        let row = |name: &str| {
            let line = table
                .lines()
                .find(|line| line.contains(&format!("\t{name}\t")));
            line.unwrap_or_else(|| {
                panic!(
                    "{}: no `{name}` in\n{table}{}",
                    wall.name,
                    exit.stderr.to_text()
                )
            })
        };
        for name in wall.red {
            assert!(
                row(name).contains("\tESCAPED\t"),
                "{}: {}",
                wall.name,
                row(name)
            );
            assert!(
                !row(name).contains("itself failed"),
                "{}: {}",
                wall.name,
                row(name)
            );
        }
        for name in wall.held {
            assert!(
                row(name).contains("\theld\t"),
                "{}: {}",
                wall.name,
                row(name)
            );
        }
        if let Some(property) = wall.missed {
            let status = held_status(&platform, property);
            assert!(!status.is_yes(), "{}: {property} is {status:?}", wall.name);
        }
    }
}
