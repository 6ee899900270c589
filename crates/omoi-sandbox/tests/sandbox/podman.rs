//! Podman on a private socket with storage of its own, ended with the test that started it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::until;

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
pub(crate) struct PodmanService {
    dir: tempfile::TempDir,
    service: Child,
}

impl PodmanService {
    /// Starts one, only as root.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("containers.conf"), SETTINGS).unwrap();
        let socket = dir.path().join("api.sock");
        let service = podman(dir.path())
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", socket.display()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("apt install podman runc: {error}"));
        until("podman listens", || socket.exists()).await;
        Self { dir, service }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("api.sock")
    }

    /// Names of the containers it has.
    pub(crate) fn containers(&self) -> String {
        let listed = podman(self.dir.path())
            .args(["ps", "--all", "--format", "{{.Names}}"])
            .output()
            .unwrap();
        assert!(listed.status.success(), "{listed:?}");
        String::from_utf8_lossy(&listed.stdout).trim().to_owned()
    }
}

fn podman(dir: &Path) -> Command {
    let mut command = Command::new("podman");
    command
        .arg("--root")
        .arg(dir.join("root"))
        .arg("--runroot")
        .arg(dir.join("run"))
        .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"])
        .env("CONTAINERS_CONF", dir.join("containers.conf"))
        // The runtime leaves a file called `oom` where it was started.
        .current_dir(dir);
    command
}

impl Drop for PodmanService {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}
