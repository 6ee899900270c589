//! The escape table: a hostile program tries, one by one, what must not be possible.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{GeneratedFile, ProtectedPath, ReadOnlyMount, SandboxEnd, SandboxFloor};

use crate::support::Platform;

/// Bait on the host, alive while the program inside looks for it.
struct Bait {
    _tcp: TcpListener,
    _abstract: UnixListener,
    _hidden: UnixListener,
    _leaked: OwnedFd,
    facts: String,
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
    let namespaces: Vec<String> = ["user", "pid", "net", "ipc", "uts", "cgroup", "mnt"]
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
    let facts = format!(
        r#"{{"user": "daemon", "homes": ["{home}", "{dir}"], "secrets": ["{dir}/secret/key", "{dir}/state"],
            "other_workspace": "{dir}/other", "tools": "/opt/tools", "socket": "{}", "port": {},
            "abstract": "{name}", "address": "{outward}", "pids": [{}, {}], "namespaces": {{{}}}}}"#,
        hidden_socket.display(),
        tcp.local_addr().unwrap().port(),
        std::process::id(),
        std::os::unix::process::parent_id(),
        namespaces.join(", "),
    );
    Bait {
        _tcp: tcp,
        _abstract: UnixListener::bind_addr(&address).unwrap(),
        _hidden: UnixListener::bind(&hidden_socket).unwrap(),
        _leaked: leak_descriptor(&platform.path("secret/key")),
        facts,
    }
}

/// A descriptor without close-on-exec, as a careless library would leave one.
fn leak_descriptor(path: &Path) -> OwnedFd {
    let file = fs::File::open(path).unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    file.into()
}

/// Fills the workspace the way an agent's clone with a hostile history could look.
fn fill(dir: &Path) {
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
    fs::write(dir.join("probes.py"), include_str!("probes.py")).unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escape_table() {
    let platform = Platform::new().await;
    let tools = platform.path("tools");
    fs::create_dir(&tools).unwrap();
    fs::write(tools.join("tool"), "tool").unwrap();
    fs::write(platform.path("worker"), "worker").unwrap();
    fs::set_permissions(platform.path("worker"), fs::Permissions::from_mode(0o755)).unwrap();
    gateway(&platform.path("gateway.sock"));
    fs::create_dir(platform.path("other")).unwrap();
    fs::set_permissions(platform.path("other"), fs::Permissions::from_mode(0o777)).unwrap();
    let bait = bait(&platform);

    let workspace = platform.workspace(fill);
    let mut launch = platform.launch(["/usr/bin/python3", "/sandbox/probes.py", &bait.facts]);
    launch.workspace = workspace;
    launch.env = vec![("ASKED".into(), "for".into())];
    launch.read_only = vec![ReadOnlyMount {
        host: tools,
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
    let exit = platform.run(launch).await;
    judge(&platform, &exit);
}

fn judge(platform: &Platform, exit: &SandboxEnd) {
    let table = exit.stdout.to_text();
    let held = table.lines().filter(|l| l.starts_with("held\t")).count();
    let escaped: Vec<_> = table.lines().filter(|l| !l.starts_with("held\t")).collect();
    let user = if rustix::process::geteuid().is_root() {
        "root"
    } else {
        "an ordinary user"
    };
    println!(
        "{} started as {user}: {held} held",
        platform.provider.rung_version()
    );
    for (property, held) in platform.provider.held_properties() {
        let word = if held.is_yes() { "held" } else { "missing" };
        println!(
            "  {property}: {word} {}",
            held.holder_remark().unwrap_or_default()
        );
    }
    println!("{table}");
    assert!(
        exit.has_succeeded(),
        "{:?}: {}",
        exit.ended,
        exit.stderr.to_text()
    );
    assert!(escaped.is_empty(), "{escaped:#?}");
    assert!(held >= 90, "only {held} probes ran");
}

/// The same tries must succeed where nothing holds them back, or the table proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_can_turn_red() {
    // Only such as look and touch nothing.
    const HARMLESS: [&str; 9] = [
        "see the platform user's home",
        "see platform data",
        "see another workspace",
        "see processes of the host",
        "signal processes of the host",
        "share a namespace with the host",
        "connect to the host's loopback",
        "connect to an abstract socket of the host",
        "call personality",
    ];
    let platform = Platform::with_rung(SandboxRung::Process, &SandboxFloor::none()).await;
    fs::create_dir(platform.path("other")).unwrap();
    let bait = bait(&platform);
    let workspace = platform.workspace(fill);
    let mut launch = platform.launch(["/usr/bin/python3", "/sandbox/probes.py", &bait.facts]);
    launch.workspace = workspace;
    let script = platform
        .provider
        .path_inside(&launch, Path::new("/sandbox/probes.py"));
    launch.argv[1] = script.into();
    launch.argv.extend(HARMLESS.map(Into::into));
    let exit = platform.run(launch).await;
    let table = exit.stdout.to_text();
    for name in HARMLESS {
        let row = format!("ESCAPED\t{name}\t");
        assert!(
            table.contains(&row),
            "expected `{name}` to escape in\n{table}"
        );
    }
    assert_eq!(table.lines().count(), HARMLESS.len());
}
