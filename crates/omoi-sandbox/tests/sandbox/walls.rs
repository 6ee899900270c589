//! Each wall taken away turns its rows of the escape table red, and is missed by the probe of properties.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::entry::EntryProgram;
use omoi_sandbox::{ReadOnlyMount, SandboxFloor};

use self::rows::{
    CHANGED, CONTAINER_WALLS, LANDLOCK_WALLS, OTHERS, PARTS, TakenWall, WALLS, named_rows,
};
use crate::escape::{bait_platform, probes_launch};
use crate::support::{Platform, entry_program, held_status};

pub(crate) mod rows;

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

/// A program that stands in for another one and takes walls away.
struct StandIn {
    dir: tempfile::TempDir,
    program: PathBuf,
}

impl StandIn {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("stand-in");
        let source = dir.path().join("source");
        fs::write(&source, text).unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
        // By another process: a descriptor of ours, inherited by a program that another test starts at this
        // moment, would keep the copy from being run.
        let copied = Command::new("cp").arg(&source).arg(&program).status();
        assert!(copied.unwrap().success());
        Self { dir, program }
    }

    fn write_edits(&self, edits: &str) {
        fs::write(self.dir.path().join("edits.json"), edits).unwrap();
    }
}

/// Holds what `platform`, which lacks `wall`, lets happen against what is known of the wall.
async fn check_taken_wall(platform: &Platform, wall: &TakenWall) {
    let bait = bait_platform(platform);
    let (red, held) = (named_rows(wall.red), named_rows(wall.held));
    let names = [red.clone(), held.clone()].concat();
    let exit = platform.run(probes_launch(platform, &bait, &names)).await;
    let table = exit.stdout.to_text();
    let check = |name: &str, verdict: &str| {
        let said = exit.stderr.to_text();
        let row = table
            .lines()
            .find(|line| line.contains(&format!("\t{name}\t")));
        let row = row.unwrap_or_else(|| panic!("{}: no `{name}` in\n{table}{said}", wall.name));
        let is_so = row.contains(&format!("\t{verdict}\t")) && !row.contains("itself failed");
        assert!(is_so, "{}: not {verdict}: {row}", wall.name);
    };
    for name in red {
        check(name, "ESCAPED");
    }
    for name in held {
        check(name, "held");
    }
    if let Some(property) = wall.missed {
        let status = held_status(platform, property);
        assert!(!status.is_yes(), "{}: {property} is {status:?}", wall.name);
    }
}

/// As an ordinary user only: root's mounts would hide the stand-in from the user it becomes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wall_taken_away_turns_its_rows_red() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    for wall in WALLS {
        let stand_in = StandIn::new(include_str!("wall_breaker.py"));
        let floor = SandboxFloor::none();
        let platform = Platform::with_config(SandboxRung::Bubblewrap, &floor, |config| {
            let dir = config.state_dir.parent().unwrap().display().to_string();
            stand_in.write_edits(&wall.edits.replace("DIR", &dir));
            config.bubblewrap.clone_from(&stand_in.program);
        })
        .await;
        check_taken_wall(&platform, wall).await;
    }
}

/// The same of the rung `landlock`, as a user for the same reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wall_of_landlock_taken_away_turns_its_rows_red() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    for wall in LANDLOCK_WALLS {
        let stand_in = StandIn::new(include_str!("entry_breaker.py"));
        let real = entry_program();
        let entry = real.display();
        stand_in.write_edits(&format!(
            r#"{{"entry": "{entry}", "orders": {}}}"#,
            wall.edits
        ));
        let floor = SandboxFloor::none();
        let platform = Platform::with_config(SandboxRung::Landlock, &floor, |config| {
            config.entry = Some(EntryProgram {
                program: stand_in.program.clone(),
                args: Vec::new(),
            });
        })
        .await;
        check_taken_wall(&platform, wall).await;
    }
}

/// A container engine that takes walls away; ended with this value.
struct EngineBreaker(Child);

impl EngineBreaker {
    fn start(engine: &Path, listen: &Path, edits: &str) -> Self {
        let mut breaker = Command::new("/usr/bin/python3")
            .args(["-I", "-c", include_str!("engine_breaker.py")])
            .args([engine, listen])
            .arg(edits)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 5];
        let mut said = breaker.stdout.take().unwrap();
        std::io::Read::read_exact(&mut said, &mut ready).unwrap();
        Self(breaker)
    }
}

impl Drop for EngineBreaker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same of the rung `container`; only root can start an engine here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wall_of_a_container_taken_away_turns_its_rows_red() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for wall in CONTAINER_WALLS {
        let sockets = tempfile::tempdir().unwrap();
        let mut breaker = None;
        let floor = SandboxFloor::none();
        let platform = Platform::with_config(SandboxRung::Container, &floor, |config| {
            let listen = sockets.path().join("engine.sock");
            let engine = &config.container_sockets[0];
            breaker = Some(EngineBreaker::start(engine, &listen, wall.edits));
            config.container_sockets = vec![listen];
        })
        .await;
        check_taken_wall(&platform, wall).await;
    }
}
