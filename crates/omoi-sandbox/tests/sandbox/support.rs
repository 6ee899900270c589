//! A provider over temporary folders, and short ways to run programs in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::entry::EntryProgram;
use omoi_sandbox::{
    ProbeConfig, Property, PropertyStatus, Provider, SandboxEnd, SandboxFloor, SandboxLaunch,
    SandboxProbe, probe_host,
};
use omoi_testkit::podman::PodmanService;

/// Name of the entry program beside a copy of the tests.
const ENTRY_COPY: &str = "entry";

/// A copy of the tests where an ordinary user can go, which the build folder may not be.
pub(crate) struct UserCopy(tempfile::TempDir);

impl UserCopy {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let entry = PathBuf::from(env!("CARGO_BIN_EXE_omoi-sandbox-entry"));
        for (from, name) in [
            (std::env::current_exe().unwrap(), "tests"),
            (entry, ENTRY_COPY),
        ] {
            // By another process: a descriptor of ours, inherited by a program that another test starts at
            // this moment, would keep the copy from being run.
            let mut copying = Command::new("cp");
            let copied = copying.arg(from).arg(dir.path().join(name)).status();
            assert!(copied.unwrap().success());
        }
        Self(dir)
    }

    /// The copy with `args`, run by that user.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.0.path().join("tests"));
        command.args(args).uid(54_321).gid(54_321).current_dir("/");
        command
    }
}

/// One platform: a state folder, workspaces, the ladder as found here.
pub(crate) struct Platform {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) probe: SandboxProbe,
    pub(crate) provider: Arc<dyn Provider>,
    /// The container engine, where the rung needs one.
    engine: Option<PodmanService>,
    workspaces: AtomicU32,
}

impl Platform {
    /// A platform whose best rung is bubblewrap; fails where that is missing.
    pub(crate) async fn new() -> Self {
        Self::with_rung(SandboxRung::Bubblewrap, &SandboxFloor::default()).await
    }

    pub(crate) async fn with_rung(rung: SandboxRung, floor: &SandboxFloor) -> Self {
        Self::with_config(rung, floor, |_| {}).await
    }

    /// One whose host is asked with `change`.
    pub(crate) async fn with_config(
        rung: SandboxRung,
        floor: &SandboxFloor,
        change: impl FnOnce(&mut ProbeConfig),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // As private as a home folder, so that nothing works by accident.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let mut config = probe_config(&dir.path().join("state"));
        config.hidden = vec![dir.path().join("secret")];
        fs::create_dir(dir.path().join("secret")).unwrap();
        fs::write(dir.path().join("secret/key"), "sesame").unwrap();
        let engine = match rung {
            SandboxRung::Container => Some(PodmanService::start()),
            _ => None,
        };
        config.container_sockets = engine.iter().map(PodmanService::engine_socket).collect();
        change(&mut config);
        let probe = probe_host(&config).await.unwrap();
        let provider = probe
            .select_provider(floor, Some(rung))
            .unwrap_or_else(|e| panic!("{e}; {}", e.next_step()));
        Self {
            dir,
            probe,
            provider,
            engine,
            workspaces: AtomicU32::new(0),
        }
    }

    pub(crate) fn engine_sockets(&self) -> Vec<PathBuf> {
        self.engine
            .iter()
            .map(PodmanService::engine_socket)
            .collect()
    }

    /// Names of the engine's containers.
    pub(crate) fn containers(&self) -> String {
        self.engine.as_ref().unwrap().container_names()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An empty workspace, filled by `fill` and handed to the sandbox's user.
    pub(crate) fn workspace(&self, fill: impl FnOnce(&Path)) -> PathBuf {
        let n = self.workspaces.fetch_add(1, Ordering::Relaxed);
        let dir = self.path(&format!("workspace-{n}"));
        fs::create_dir(&dir).unwrap();
        fill(&dir);
        self.provider.prepare_workspace(&dir).unwrap();
        dir
    }

    /// A launch of `argv` over an empty workspace of its own.
    pub(crate) fn launch<const N: usize>(&self, argv: [&str; N]) -> SandboxLaunch {
        // Limit groups are named alike for every platform on the host, so names must differ between
        // tests, as attempts' ids do.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("omoi-{}-{n}", std::process::id());
        SandboxLaunch::new(name, self.workspace(|_| {}), argv)
    }

    /// A launch of a shell script.
    pub(crate) fn shell(&self, script: &str) -> SandboxLaunch {
        self.launch(["/bin/sh", "-c", script])
    }

    /// A launch of a Python program, the one interpreter the tests need.
    pub(crate) fn python(&self, program: &str) -> SandboxLaunch {
        self.launch(["/usr/bin/python3", "-c", program])
    }

    pub(crate) async fn run(&self, launch: SandboxLaunch) -> SandboxEnd {
        let running = self.provider.launch(launch).await;
        let running =
            running.unwrap_or_else(|e| panic!("{e}: {:?}", std::error::Error::source(&e)));
        running.wait().await.unwrap()
    }
}

/// What the platform's sandboxes say about `property`.
pub(crate) fn held_status(platform: &Platform, property: Property) -> &PropertyStatus {
    let mut all = platform.provider.held_properties().iter();
    let found = all.find(|(one, _)| *one == property);
    &found.unwrap().1
}

/// A probe that finds everything this crate has.
pub(crate) fn probe_config(state: &Path) -> ProbeConfig {
    let mut config = ProbeConfig::new(state);
    config.entry = Some(EntryProgram {
        program: entry_program(),
        args: Vec::new(),
    });
    config
}

/// The entry program; beside a copy of the tests lies a copy of it, where an ordinary user can go.
pub(crate) fn entry_program() -> PathBuf {
    let copy = std::env::current_exe().unwrap().with_file_name(ENTRY_COPY);
    let built = PathBuf::from(env!("CARGO_BIN_EXE_omoi-sandbox-entry"));
    if copy.exists() { copy } else { built }
}

/// Waits for `done`, a state that must come, checked often and not for ever.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never came: {what}");
}
