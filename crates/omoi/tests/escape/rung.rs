//! A rung of the ladder, as a process of the platform finds it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::entry::EntryProgram;
use omoi_sandbox::policy::inside;
use omoi_sandbox::{
    ProbeConfig, Provider, ReadOnlyMount, SandboxEnd, SandboxFloor, SandboxLaunch, probe_host,
};

use omoi_testkit::podman::PodmanService;

/// A rung with a folder of its own.
pub(crate) struct Rung {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) provider: Arc<dyn Provider>,
    _engine: Option<PodmanService>,
}

impl Rung {
    pub(crate) async fn find(rung: SandboxRung) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let engine = match rung {
            SandboxRung::Container => Some(PodmanService::start()),
            _ => None,
        };
        let mut config = ProbeConfig::new(dir.path().join("state"));
        config.entry = Some(EntryProgram {
            program: binary(),
            args: vec!["sandbox-entry".into()],
        });
        config.container_sockets = engine.iter().map(PodmanService::engine_socket).collect();
        let probe = probe_host(&config).await.unwrap();
        let provider = probe.select_provider(&SandboxFloor::none(), Some(rung));
        let provider = provider.unwrap_or_else(|e| panic!("{e}; {}", e.next_step()));
        Self {
            dir,
            provider,
            _engine: engine,
        }
    }

    /// A launch of `probes.py` that is shown `socket` and `certificate`; `facts` makes its first argument of the places
    /// that it finds them at.
    pub(crate) fn probes_launch(
        &self,
        socket: &Path,
        certificate: &Path,
        facts: impl FnOnce(ShownPlaces) -> String,
    ) -> SandboxLaunch {
        let workspace = self.dir.path().join("workspace");
        fs::create_dir(&workspace).unwrap();
        fs::write(workspace.join("probes.py"), include_str!("probes.py")).unwrap();
        self.provider.prepare_workspace(&workspace).unwrap();
        let name = format!("omoi-way-{}-{}", std::process::id(), self.provider.rung());
        let mut launch = SandboxLaunch::new(name, workspace, ["/usr/bin/python3"]);
        launch.socket = Some(socket.to_owned());
        launch.read_only = vec![ReadOnlyMount {
            host: certificate.to_owned(),
            inside: "/opt/authority.pem".into(),
        }];
        let shown = |path: &Path| self.provider.path_inside(&launch, path);
        let places = ShownPlaces {
            work: shown(Path::new(inside::WORK)),
            socket: shown(Path::new(inside::SOCKET)),
            certificate: shown(Path::new("/opt/authority.pem")),
        };
        let script = places.work.join("probes.py");
        let facts = facts(places);
        launch.argv.extend([script.into(), facts.into()]);
        launch
    }

    pub(crate) async fn run(&self, launch: SandboxLaunch) -> SandboxEnd {
        let running = self.provider.launch(launch).await;
        let running =
            running.unwrap_or_else(|e| panic!("{e}: {:?}", std::error::Error::source(&e)));
        running.wait().await.unwrap()
    }
}

/// Where a program finds what it is shown.
pub(crate) struct ShownPlaces {
    pub(crate) work: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) certificate: PathBuf,
}

/// The program under test; beside a copy of the tests lies a copy of it, where an ordinary user can go.
fn binary() -> PathBuf {
    let copy = std::env::current_exe().unwrap().with_file_name("omoi-copy");
    match copy.exists() {
        true => copy,
        false => env!("CARGO_BIN_EXE_omoi").into(),
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs one of these tests as an ordinary user; returns what it printed.
pub(crate) fn as_a_user(test: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (from, name) in [
        (std::env::current_exe().unwrap(), "tests"),
        (binary(), "omoi-copy"),
    ] {
        let copied = Command::new("cp")
            .arg(from)
            .arg(dir.path().join(name))
            .status();
        assert!(copied.unwrap().success());
    }
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(54_321), Some(54_321)).unwrap();
    let mut command = Command::new(dir.path().join("tests"));
    command.args(["--exact", test, "--nocapture"]);
    command.env("HOME", &home).env_remove("TMPDIR");
    let output = command.uid(54_321).gid(54_321).current_dir("/").output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "as an ordinary user:\n{text}\n{complaint}"
    );
    text
}
