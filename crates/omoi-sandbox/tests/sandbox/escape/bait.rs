//! What hostile programs look for, and what they are told of it.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::policy::inside;
use omoi_sandbox::{
    GeneratedFile, PropertyStatus, ProtectedPath, ReadOnlyMount, SandboxLaunch, SandboxLimits,
};

use super::layer::LaidLayer;
use crate::support::Platform;

/// Bait on the host, alive while the program inside looks for it.
pub(crate) struct Bait {
    _tcp: TcpListener,
    _abstract: UnixListener,
    _hidden: UnixListener,
    _leaked: OwnedFd,
    _messages: HostMessages,
    facts: String,
    /// The workspace that the program tries things in, and what lies below it.
    pub(crate) layer: LaidLayer,
}

/// Memory, a queue and a semaphore of the host that anybody may use.
struct HostMessages([String; 3]);

impl HostMessages {
    fn make() -> Self {
        let make = |args: &[&str]| {
            let made = Command::new("ipcmk")
                .args(args)
                .args(["-p", "0666"])
                .output();
            let made = String::from_utf8(made.unwrap().stdout).unwrap();
            made.trim().rsplit(' ').next().unwrap().to_owned()
        };
        Self([make(&["-M", "4096"]), make(&["-Q"]), make(&["-S", "1"])])
    }
}

impl Drop for HostMessages {
    fn drop(&mut self) {
        for (kind, id) in ["-m", "-q", "-s"].iter().zip(&self.0) {
            let _ = Command::new("ipcrm").args([kind, id.as_str()]).status();
        }
    }
}

fn bait(platform: &Platform) -> Bait {
    let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
    let hidden_socket = platform.path("host.sock");
    let name = format!("omoi-bait-{}", hidden_socket.display());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    // The kernel knows the address others see, without a packet being sent.
    let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
    let outward = udp
        .connect("192.0.2.1:9")
        .and_then(|()| udp.local_addr())
        .map_or("127.0.0.1".into(), |a| a.ip().to_string());
    // Containers of root's engine have the host's users, of which theirs is an unprivileged one, and where
    // limit groups are of the first generation they see the host's names of them.
    let is_container = platform.provider.rung() == SandboxRung::Container;
    let kinds = ["pid", "net", "ipc", "uts", "mnt", "cgroup", "user"];
    let namespaces: Vec<String> = kinds[..kinds.len() - 2 * usize::from(is_container)]
        .iter()
        .map(|kind| {
            let inode = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            format!("\"{kind}\": \"{}\"", inode.display())
        })
        .collect();
    let user = fs::read_to_string("/proc/self/status").unwrap();
    let uid = user.lines().find(|l| l.starts_with("Uid:")).unwrap();
    let uid = uid.split_whitespace().nth(1).unwrap();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let home = passwd
        .lines()
        .map(|l| l.split(':').collect::<Vec<_>>())
        .find(|l| l[2] == uid)
        .map_or("/root".to_owned(), |l| l[5].to_owned());
    let dir = platform.dir.path().display();
    let layer = LaidLayer::lay(platform);
    let messages = HostMessages::make();
    let facts = format!(
        r#""user": "daemon", "homes": ["{home}", "{dir}"], "secrets": ["{dir}/secret/key", "{dir}/state"],
            "other_workspace": "{dir}/other", "socket": "{}", "port": {},
            "abstract": "{name}", "address": "{outward}", "pids": [{}, {}], "namespaces": {{{}}},
            "messages": [{}], "layers": {}"#,
        hidden_socket.display(),
        tcp.local_addr().unwrap().port(),
        std::process::id(),
        std::os::unix::process::parent_id(),
        namespaces.join(", "),
        messages.0.join(", "),
        layer.to_facts(platform),
    );
    Bait {
        _tcp: tcp,
        _abstract: UnixListener::bind_addr(&address).unwrap(),
        _hidden: UnixListener::bind(&hidden_socket).unwrap(),
        _messages: messages,
        _leaked: leak_descriptor(&platform.path("secret/key")),
        facts,
        layer,
    }
}

/// A descriptor without close-on-exec, as a careless library would leave one.
fn leak_descriptor(path: &Path) -> OwnedFd {
    let file = fs::File::open(path).unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    file.into()
}

/// Fills the workspace the way an agent's clone with a hostile history could look.
pub(super) fn fill(dir: &Path) {
    fs::create_dir_all(dir.join(".git/hooks")).unwrap();
    fs::write(dir.join(".git/hooks/kept"), "kept").unwrap();
    fs::write(dir.join(".git/config"), "config").unwrap();
    fs::write(dir.join(".git/index"), "index").unwrap();
    fs::create_dir(dir.join("target")).unwrap();
    fs::write(dir.join("target/kept"), "kept").unwrap();
    symlink("target", dir.join(".claude")).unwrap();
    fs::write(dir.join("masked"), "secret").unwrap();
    fs::create_dir(dir.join("masked-dir")).unwrap();
    fs::write(dir.join("masked-dir/file"), "secret").unwrap();
    fs::write(dir.join("layered"), "layered").unwrap();
    fs::write(dir.join("linked"), "linked").unwrap();
    fs::hard_link(dir.join("linked"), dir.join("linked-too")).unwrap();
    fs::create_dir_all(dir.join("deep/er")).unwrap();
    fs::copy("/usr/bin/id", dir.join("own-id")).unwrap();
    fs::set_permissions(dir.join("own-id"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::write(dir.join("probes.py"), include_str!("../probes.py")).unwrap();
}

/// Serves one greeting per connection on a socket that any user may reach.
fn gateway(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"hello");
        }
    });
}

/// A launch of the probes, of those named or of all, with everything handed in that can be.
pub(crate) fn probes_launch(platform: &Platform, bait: &Bait, names: &[&str]) -> SandboxLaunch {
    let mut launch = platform.launch(["/usr/bin/python3"]);
    launch.workspace.clone_from(&bait.layer.workspace);
    launch.env = vec![("ASKED".into(), "for".into())];
    launch.read_only = vec![ReadOnlyMount {
        host: platform.path("tools"),
        inside: "/opt/tools".into(),
    }];
    launch.protected = vec![
        ProtectedPath::read_only(".git/hooks"),
        ProtectedPath::read_only(".git/config"),
        ProtectedPath::read_only(".omoi_os"),
        ProtectedPath::masked(".claude"),
        ProtectedPath::masked("masked"),
        ProtectedPath::masked("masked-dir"),
    ];
    launch.socket = Some(platform.path("gateway.sock"));
    launch.worker = Some(platform.path("worker"));
    launch.files = vec![GeneratedFile {
        path: "/run/omoi.d/context".into(),
        contents: b"context".to_vec(),
        mode: 0o600,
    }];
    launch.limits = SandboxLimits {
        memory_bytes: 256 << 20,
        processes_max: 64,
        file_bytes_max: 16 << 20,
        open_files_max: 256,
        temp_bytes: 8 << 20,
        ..SandboxLimits::default()
    };
    let script = Path::new(inside::WORK).join("probes.py");
    let script = platform.provider.path_inside(&launch, &script);
    let facts = launch_facts(platform, &launch, bait);
    launch.argv.extend([script.into(), facts.into()]);
    launch.argv.extend(names.iter().map(Into::into));
    launch
}

/// What the probes are told: places as the program finds them, amounts, and what only a watcher holds.
fn launch_facts(platform: &Platform, launch: &SandboxLaunch, bait: &Bait) -> String {
    let shown = |path: &str| {
        let path = platform.provider.path_inside(launch, Path::new(path));
        format!("\"{}\"", path.display())
    };
    let own_spaces = !matches!(
        platform.provider.rung(),
        SandboxRung::Landlock | SandboxRung::Process
    );
    let watched = platform.provider.held_properties().iter();
    let watched: Vec<String> = watched
        .filter(|(_, held)| *held == PropertyStatus::ByWatcher)
        .map(|(property, _)| format!("\"{property}\""))
        .collect();
    let limits = &launch.limits;
    format!(
        r#"{{{}, "own_spaces": {own_spaces}, "watched": [{}], "work": {}, "home": {}, "temp": {},
            "worker": {}, "gateway": {}, "context": {}, "tools": {}, "memory": {}, "processes": {},
            "file_bytes": {}, "open_files": {}, "temp_bytes": {}}}"#,
        bait.facts,
        watched.join(", "),
        shown(inside::WORK),
        shown(inside::HOME),
        shown(inside::TEMP),
        shown(inside::WORKER),
        shown(inside::SOCKET),
        shown("/run/omoi.d/context"),
        shown("/opt/tools"),
        limits.memory_bytes,
        limits.processes_max,
        limits.file_bytes_max,
        limits.open_files_max,
        limits.temp_bytes,
    )
}

/// Lays out everything the probes look for.
pub(crate) fn bait_platform(platform: &Platform) -> Bait {
    let tools = platform.path("tools");
    fs::create_dir(&tools).unwrap();
    fs::write(tools.join("tool"), "tool").unwrap();
    fs::write(platform.path("worker"), "worker").unwrap();
    fs::set_permissions(platform.path("worker"), fs::Permissions::from_mode(0o755)).unwrap();
    gateway(&platform.path("gateway.sock"));
    fs::create_dir(platform.path("other")).unwrap();
    fs::set_permissions(platform.path("other"), fs::Permissions::from_mode(0o777)).unwrap();
    bait(platform)
}
