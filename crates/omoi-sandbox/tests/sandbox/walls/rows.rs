//! Which walls are taken away, and which rows turn red then.

use std::collections::BTreeSet;

use omoi_sandbox::Property;
use omoi_testkit::invariant::tell_row;

/// One wall, what takes it away, and who must notice.
pub(super) struct TakenWall {
    pub(super) name: &'static str,
    /// For `wall_breaker.py`; `DIR` is the platform's folder.
    pub(super) edits: &'static str,
    /// Reported as missing.
    pub(super) missed: Option<Property>,
    /// Rows that turn red.
    pub(super) red: &'static [&'static str],
    /// Rows that another wall still holds.
    pub(super) held: &'static [&'static str],
}

/// Walls of bubblewrap.
pub(super) const WALLS: &[TakenWall] = &[
    TakenWall {
        name: "own network",
        edits: r#"{"drop": {"--unshare-net": 0}}"#,
        missed: Some(Property::Network),
        red: &[
            "use a network interface",
            "connect to the host's loopback",
            "connect out by TCP, UDP, IPv6, to metadata",
        ],
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
            "tamper with a protected path that was missing",
            "tamper with a protected path that was a link",
            "move the folder above a protected path away",
            "read a masked file",
            "read a masked folder",
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
    TakenWall {
        name: "system-call filter, for one that answers otherwise",
        edits: r#"{"errno": 123}"#,
        missed: Some(Property::Kernel),
        // Most of these calls are refused to this user by the kernel as well: what is shown is who answers.
        red: &[
            "call *",
            "open a socket of family *",
            "push input into a terminal (TIOCSTI)",
        ],
        held: &[],
    },
    TakenWall {
        // What lies there is closed to this user as well, so a name stands for it.
        name: "empty folder over private keys, Landlock",
        edits: r#"{"replace": {"--remount-ro /etc/ssl/private": ["--symlink", "key", "/etc/ssl/private/key"]},
            "without_landlock": true}"#,
        missed: None,
        red: &["read private keys of the host's certificates"],
        held: &[],
    },
    TakenWall {
        name: "options out of the process table",
        edits: r#"{"in_words": true}"#,
        missed: None,
        red: &["read the options bubblewrap was started with"],
        held: &[],
    },
    TakenWall {
        name: "an empty environment of bubblewrap's own",
        edits: r#"{"environment": {"LEAKED": "x"}}"#,
        missed: None,
        red: &[],
        // The second wall.
        held: &["read the environment of process 1"],
    },
    TakenWall {
        name: "an empty environment of bubblewrap's own, Landlock",
        edits: r#"{"environment": {"LEAKED": "x"}, "without_landlock": true}"#,
        missed: None,
        red: &["read the environment of process 1"],
        held: &[],
    },
    TakenWall {
        name: "own session",
        edits: r#"{"terminal": true, "drop": {"--new-session": 0}}"#,
        missed: None,
        red: &["have a controlling terminal"],
        held: &[],
    },
];

/// Walls of the rung `landlock`: its orders, where they are replaced.
pub(super) const LANDLOCK_WALLS: &[TakenWall] = &[
    TakenWall {
        name: "Landlock",
        edits: r#"{"landlock": null}"#,
        missed: Some(Property::Landlock),
        red: &[
            "read the host's /etc/passwd",
            "see platform data",
            "see another workspace",
            "reach platform data through /proc/1/root and friends",
            "follow a link in the workspace to the host",
            "link a listed file into the workspace",
            "connect to an abstract socket of the host",
        ],
        // The scope of the follower stands outside of it.
        held: &[
            "connect to the host's loopback",
            "signal processes of the host",
        ],
    },
    TakenWall {
        name: "system-call filter",
        edits: r#"{"filter": null}"#,
        missed: Some(Property::Kernel),
        red: &[
            "use a network interface",
            "call personality",
            "call keyctl",
            "share memory, semaphores or queues with the host by number",
        ],
        held: &["connect to an abstract socket of the host"],
    },
];

/// Walls of the rung `container`: what is asked of the engine, where it is replaced.
pub(super) const CONTAINER_WALLS: &[TakenWall] = &[
    TakenWall {
        name: "own network, own processes, protected paths",
        edits: r#"{"spec": {"NetworkDisabled": false}, "targets": ["/sandbox/"],
            "host": {"NetworkMode": "host", "PidMode": "host"}}"#,
        missed: Some(Property::Network),
        red: &[
            "use a network interface",
            "connect to the host's loopback",
            "see processes of the host",
            "share a namespace with the host",
            "tamper with a protected folder",
            "tamper with a protected file",
            "read a masked file",
            "read a masked folder",
        ],
        // The second wall.
        held: &[
            "signal processes of the host",
            "connect to an abstract socket of the host",
        ],
    },
    TakenWall {
        name: "identity",
        edits: r#"{"spec": {"User": "0:0"}, "host": {"CapDrop": [], "SecurityOpt": []}}"#,
        missed: Some(Property::Identity),
        red: &["be root in any way", "hold a capability"],
        held: &[
            "read /etc/shadow",
            "write outside workspace and scratch space",
        ],
    },
];

/// Rows that turn red where nothing holds them back, whoever tries: only such as look, or touch the bait alone.
pub(crate) const UNWALLED: &[&str] = &[
    "read the host's /etc/passwd",
    "see the platform user's home",
    "see platform data",
    "see another workspace",
    "reach platform data through /proc/1/root and friends",
    "follow a link in the workspace to the host",
    "swap a folder for a link while it is walked",
    "change permissions and times of a listed file",
    "link a listed file into the workspace",
    "see /boot, /root, /mnt, /srv, /media",
    "change the target of a replaced link through it",
    "see processes of the host",
    "signal processes of the host",
    "share a namespace with the host",
    "gain privileges on exec",
    "plant a whiteout, which hides a file of the layer below",
    "leave the workspace by way of ..",
    "call personality",
    "connect to the host's loopback",
    "connect to an abstract socket of the host",
    "share memory, semaphores or queues with the host by number",
];

/// The same where it is root who tries.
pub(crate) const UNWALLED_AS_ROOT: &[&str] = &[
    "read /etc/shadow",
    "open kernel settings for writing (all of /proc/sys)",
    "open dangerous files of /proc",
    "hold a capability",
    "be root in any way",
    "become root",
    "run a set-uid program with effect",
    "make a device",
    "mark a folder opaque for an overlay of root's",
    "forge what an overlay keeps in attributes",
    "change the layer below by way of the workspace",
    "open a raw socket",
];

/// One that takes the bait away from the others.
pub(crate) const UNWALLED_LAST: &[&str] =
    &["change the worker, the socket's name or a listed mount"];

/// Rows that turn red where the limits are higher than the program is told.
pub(crate) const UNLIMITED: &[&str] = &[
    "write a file beyond the limit",
    "open more files than the limit",
    "run more processes than the limit",
    "use more memory than the limit",
    "hold more memory than the limit in files of memory",
];

/// Rows of workspaces that are laid over a layer.
pub(super) const CHANGED: &str = "change the layer below by way of the workspace";
pub(super) const PARTS: &str = "open the folders that an overlay is made of";
pub(super) const OTHERS: &str = "read what changed in another workspace";

/// Rows that no wall taken away turns red here, and why.
const NEVER_RED: &[(&str, &str)] = &[
    (
        "kill process 1",
        "where it works it ends the sandbox, and the whole table fails",
    ),
    (
        "leave a core dump",
        "the limit is not raised again, and where dumps go is the host's to say",
    ),
    (
        "resolve a name",
        "it takes a name server that answers; what leads there is the row of connections out",
    ),
];

/// The rows of the kept table, but for those that must work.
fn table_rows() -> impl Iterator<Item = &'static str> {
    let page = include_str!("../../../../../docs/escape-table.md");
    let (table, _) = page.split_once("\n## ").unwrap_or((page, ""));
    let cells = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    // The heading and the line below it.
    cells.skip(2).filter(|name| !name.starts_with("CONTROL"))
}

/// The rows that `names` stand for, of which each may end in `*`.
pub(super) fn named_rows(names: &[&'static str]) -> Vec<&'static str> {
    let rows_of = |name: &&'static str| match name.strip_suffix('*') {
        Some(begin) => table_rows().filter(|row| row.starts_with(begin)).collect(),
        None => vec![*name],
    };
    names.iter().flat_map(rows_of).collect()
}

/// A row that nothing turns red shows nothing.
#[test]
fn s3_every_row_is_turned_red() {
    let of_walls = WALLS.iter().chain(LANDLOCK_WALLS).chain(CONTAINER_WALLS);
    let mut red: BTreeSet<&str> = of_walls.flat_map(|wall| named_rows(wall.red)).collect();
    for rows in [
        UNWALLED,
        UNWALLED_AS_ROOT,
        UNWALLED_LAST,
        UNLIMITED,
        &[CHANGED, PARTS, OTHERS],
    ] {
        red.extend(rows);
    }
    for (name, why) in NEVER_RED {
        println!("`{name}` is never red: {why}");
        assert!(red.insert(name), "`{name}` is red after all");
    }
    let rows: BTreeSet<&str> = table_rows().collect();
    assert!(rows.len() >= 100, "{}", rows.len());
    let unshown: Vec<_> = rows.difference(&red).collect();
    assert!(
        unshown.is_empty(),
        "no wall taken away turns these red: {unshown:#?}"
    );
    let unknown: Vec<_> = red.difference(&rows).collect();
    assert!(
        unknown.is_empty(),
        "the table has no such rows: {unknown:#?}"
    );
    let (n_rows, n_never) = (rows.len(), NEVER_RED.len());
    tell_row(&format!(
        "S3: {n_rows} tries to get out, red with a wall taken away: {}",
        n_rows - n_never
    ));
}
