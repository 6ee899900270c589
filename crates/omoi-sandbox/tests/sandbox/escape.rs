//! The escape table: a hostile program tries, one by one, what must not be possible.

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
    GeneratedFile, PropertyStatus, ProtectedPath, ReadOnlyMount, SandboxFloor, SandboxLaunch,
    SandboxLimits,
};

use crate::support::{Platform, UserCopy};

/// Bait on the host, alive while the program inside looks for it.
pub(crate) struct Bait {
    _tcp: TcpListener,
    _abstract: UnixListener,
    _hidden: UnixListener,
    _leaked: OwnedFd,
    _messages: HostMessages,
    facts: String,
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
    let messages = HostMessages::make();
    let facts = format!(
        r#""user": "daemon", "homes": ["{home}", "{dir}"], "secrets": ["{dir}/secret/key", "{dir}/state"],
            "other_workspace": "{dir}/other", "socket": "{}", "port": {},
            "abstract": "{name}", "address": "{outward}", "pids": [{}, {}], "namespaces": {{{}}},
            "messages": [{}]"#,
        hidden_socket.display(),
        tcp.local_addr().unwrap().port(),
        std::process::id(),
        std::os::unix::process::parent_id(),
        namespaces.join(", "),
        messages.0.join(", "),
    );
    Bait {
        _tcp: tcp,
        _abstract: UnixListener::bind_addr(&address).unwrap(),
        _hidden: UnixListener::bind(&hidden_socket).unwrap(),
        _messages: messages,
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

/// A launch of the probes, of those named or of all, with everything handed in that can be.
pub(crate) fn probes_launch(platform: &Platform, bait: &Bait, names: &[&str]) -> SandboxLaunch {
    let mut launch = platform.launch(["/usr/bin/python3"]);
    launch.workspace = platform.workspace(fill);
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

/// What came of one try on one rung.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ProbeRow {
    rung: String,
    name: String,
    property: String,
    verdict: String,
}

impl ProbeRow {
    fn to_line(&self) -> String {
        let Self {
            rung,
            name,
            property,
            verdict,
        } = self;
        format!("row\t{rung}\t{name}\t{property}\t{verdict}")
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("row\t")?.split('\t').map(str::to_owned);
        Some(Self {
            rung: words.next()?,
            name: words.next()?,
            property: words.next()?,
            verdict: words.next()?,
        })
    }
}

fn started_as() -> &'static str {
    match rustix::process::geteuid().is_root() {
        true => "root",
        false => "a user",
    }
}

/// Runs all tries on `rung`; none that attacks a property it holds may get anywhere.
async fn run_probes(rung: SandboxRung) -> Vec<ProbeRow> {
    let platform = Platform::with_rung(rung, &SandboxFloor::none()).await;
    let bait = bait_platform(&platform);
    let exit = platform.run(probes_launch(&platform, &bait, &[])).await;
    let table = exit.stdout.to_text();
    println!(
        "{}, started as {}",
        platform.provider.rung_version(),
        started_as()
    );
    for (property, held) in platform.provider.held_properties() {
        let word = if held.is_yes() { "held" } else { "missing" };
        println!(
            "  {property}: {word} {}",
            held.holder_remark().unwrap_or_default()
        );
    }
    let complaint = exit.stderr.to_text();
    assert!(
        exit.has_succeeded(),
        "{:?}: {complaint}\n{table}",
        exit.ended
    );
    let mut escaped = Vec::new();
    let mut rows = Vec::new();
    for line in table.lines() {
        let [attacks, verdict, name, detail] = *line.split('\t').collect::<Vec<_>>() else {
            panic!("{line}");
        };
        let is_promised = attacks == "control"
            || attacks
                .split(" or ")
                .any(|property| is_held(&platform, property));
        let verdict = match (verdict, is_promised) {
            ("watched", _) => "watched",
            ("held", true) => "held",
            (_, true) => {
                escaped.push(format!("{name}: {detail}"));
                "ESCAPED"
            }
            (_, false) => "not promised",
        };
        rows.push(ProbeRow {
            rung: format!("{rung}, {}", started_as()),
            name: name.to_owned(),
            property: attacks.to_owned(),
            verdict: verdict.to_owned(),
        });
    }
    assert!(
        escaped.is_empty(),
        "{rung} as {}: {escaped:#?}",
        started_as()
    );
    assert!(rows.len() >= 100, "only {} probes ran", rows.len());
    rows
}

fn is_held(platform: &Platform, property: &str) -> bool {
    let mut all = platform.provider.held_properties().iter();
    let found = all.find(|(one, _)| one.as_str() == property);
    let (_, held) = found.unwrap_or_else(|| panic!("no property is called `{property}`"));
    matches!(held, PropertyStatus::Yes | PropertyStatus::YesBy(_))
}

/// Every try on every rung, started as root and as an ordinary user; the table is kept for readers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escape_table() {
    let mut rows = Vec::new();
    let mut rungs = vec![SandboxRung::Bubblewrap, SandboxRung::Landlock];
    if rustix::process::geteuid().is_root() {
        // An engine of root's; only root can start one of its own here.
        rungs.insert(1, SandboxRung::Container);
    }
    for rung in rungs {
        rows.extend(run_probes(rung).await);
    }
    for row in &rows {
        println!("{}", row.to_line());
    }
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let copy = UserCopy::new();
    let output = copy
        .command(&["--exact", "escape::escape_table", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "as an ordinary user:\n{text}\n{complaint}"
    );
    rows.extend(text.lines().filter_map(ProbeRow::from_line));
    let table = render_table(&rows);
    let kept = include_str!("../../../../docs/escape-table.md");
    // Another kernel may hold more or less; what it says it holds was tried above.
    let taken_on = |page: &str| {
        page.lines()
            .find(|l| l.contains("Taken on"))
            .map(str::to_owned)
    };
    if taken_on(kept) == taken_on(&table) && kept != table {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("escape-table.md");
        fs::write(&fresh, &table).unwrap();
        panic!(
            "the table changed: cp {} docs/escape-table.md",
            fresh.display()
        );
    }
}

fn render_table(rows: &[ProbeRow]) -> String {
    let mut rungs: Vec<&str> = Vec::new();
    let mut tries: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        if !rungs.contains(&row.rung.as_str()) {
            rungs.push(&row.rung);
        }
        if !tries.contains(&(&row.name, &row.property)) {
            tries.push((&row.name, &row.property));
        }
    }
    rungs.sort_unstable();
    let mut table = TABLE_HEAD.to_owned();
    table += &format!(
        "| A program inside tries to | attacks | {} |\n",
        rungs.join(" | ")
    );
    table += &format!("| --- | --- |{}\n", " --- |".repeat(rungs.len()));
    for (name, property) in tries {
        let verdicts: Vec<&str> = rungs
            .iter()
            .map(|rung| {
                let found = rows
                    .iter()
                    .find(|row| row.rung == *rung && row.name == name);
                found.map_or("not tried", |row| row.verdict.as_str())
            })
            .collect();
        table += &format!("| {name} | {property} | {} |\n", verdicts.join(" | "));
    }
    table
}

const TABLE_HEAD: &str = "\
# Escape table

What a hostile program tries inside a sandbox, by rung and by who started the platform. Written by the test
`escape_table` of `omoi-sandbox`, which fails when a try gets anywhere against a property that the rung says it holds.

- *held*: the rung holds the property, and the try got nowhere.
- *watched*: the watcher holds it, which ends a sandbox that goes beyond; tried in the tests of limits.
- *not promised*: the rung says that it does not hold the property here, and why: `omoi sandbox probe`.

Lines that begin with CONTROL must work. Taken on Linux 6.18 (Landlock ABI 7) with limit groups.

";

/// The same tries must succeed where nothing holds them back, or the table proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_can_turn_red() {
    // Only such as look and touch nothing.
    const HARMLESS: [&str; 10] = [
        "see the platform user's home",
        "see platform data",
        "see another workspace",
        "see processes of the host",
        "signal processes of the host",
        "share a namespace with the host",
        "connect to the host's loopback",
        "connect to an abstract socket of the host",
        "share memory, semaphores or queues with the host by number",
        "call personality",
    ];
    let platform = Platform::with_rung(SandboxRung::Process, &SandboxFloor::none()).await;
    let bait = bait_platform(&platform);
    let exit = platform
        .run(probes_launch(&platform, &bait, &HARMLESS))
        .await;
    let table = exit.stdout.to_text();
    for name in HARMLESS {
        let row = format!("\tESCAPED\t{name}\t");
        assert!(
            table.contains(&row),
            "expected `{name}` to escape in\n{table}"
        );
    }
    assert_eq!(table.lines().count(), HARMLESS.len());
}
