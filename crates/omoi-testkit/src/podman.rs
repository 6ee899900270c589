//! Podman on a private socket with storage of its own, ended with the test that started it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that needs Podman starts it, waits for it and fails without it"
)]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time until it listens.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks for its socket.
const LOOK: Duration = Duration::from_millis(5);

/// Home and runtime folder of the service.
const HOME: &str = "home";
/// Where Podman writes the process that holds its user space.
const HOLDER: &str = "libpod/tmp/pause.pid";

/// What a machine without systemd and with both generations of limit groups can do.
const SETTINGS: &str = r#"
[containers]
netns = "none"
log_driver = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
"#;

/// A running service.
pub struct PodmanService {
    dir: tempfile::TempDir,
    service: Child,
}

impl PodmanService {
    /// Starts one and waits until it listens. One of an ordinary user has no user but that one, who is root inside: ranges
    /// of further ones are a setting of the machine.
    ///
    /// # Panics
    /// Where Podman or its runtime is missing, with the packages to install.
    pub fn start() -> Self {
        Self::start_below(&[])
    }

    /// Starts one with mounts of its own, which sees none that others make.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_apart() -> Self {
        Self::start_below(&["unshare", "--mount", "--propagation", "private"])
    }

    fn start_below(starter: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("containers.conf"), SETTINGS).unwrap();
        fs::create_dir(dir.path().join(HOME)).unwrap();
        let socket = dir.path().join("api.sock");
        let service = podman_below(starter, dir.path())
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", socket.display()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("apt install podman runc: {error}"));
        let until = Instant::now() + PATIENCE;
        while !socket.exists() {
            assert!(Instant::now() < until, "podman does not listen");
            std::thread::sleep(LOOK);
        }
        Self { dir, service }
    }

    /// Where it listens.
    pub fn engine_socket(&self) -> PathBuf {
        self.dir.path().join("api.sock")
    }

    /// Names of the containers it has.
    ///
    /// # Panics
    /// When Podman does not answer.
    pub fn container_names(&self) -> String {
        let listed = podman(self.dir.path())
            .args(["ps", "--all", "--format", "{{.Names}}"])
            .output()
            .unwrap();
        assert!(listed.status.success(), "{listed:?}");
        String::from_utf8_lossy(&listed.stdout).trim().to_owned()
    }
}

fn podman(dir: &Path) -> Command {
    podman_below(&[], dir)
}

fn podman_below(starter: &[&str], dir: &Path) -> Command {
    let words = [starter, &["podman"]].concat();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .arg("--root")
        .arg(dir.join("root"))
        .arg("--runroot")
        .arg(dir.join("run"))
        .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"])
        // With one user alone, files of an image cannot be given to others.
        .args(["--storage-opt", "vfs.ignore_chown_errors=true"])
        .env("CONTAINERS_CONF", dir.join("containers.conf"))
        .env("HOME", dir.join(HOME))
        .env("XDG_RUNTIME_DIR", dir.join(HOME))
        // The runtime leaves a file called `oom` where it was started.
        .current_dir(dir);
    command
}

impl Drop for PodmanService {
    fn drop(&mut self) {
        // That of an ordinary user serves from a child in a user space.
        let group = format!("-{}", self.service.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.service.wait();
        // What holds the user space of an ordinary user's engine outlives it.
        let holder = fs::read_to_string(self.dir.path().join(HOME).join(HOLDER));
        if let Ok(pid) = holder {
            let _ = Command::new("kill").arg("-KILL").arg(pid.trim()).status();
        }
    }
}
