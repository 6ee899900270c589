//! Verifies the rung `landlock` by a program that runs behind its wall.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;

use super::SessionRung;
use super::wall::HostWall;
use crate::base::{RungBase, kernel_release};
use crate::landlock::{self, ABI_SCOPES, ABI_TCP};
use crate::probe::{ProbeConfig, RungUnavailable};
use crate::probe_facts::{ProbeFacts, ProbeScript, run_probe, rung_unavailable};
use crate::property::{Property, PropertyStatus};

/// The first version that keeps a program from the sockets of others.
const ABI_SOCKETS: i32 = 9;
/// Sockets of the host that are tried.
const SOCKETS_MAX: usize = 200;
const NEWER: &str =
    "run a kernel with Landlock: Linux 5.19 or newer, `landlock` in its list `lsm=`";
const REASON: &str = "remove the cause named in the reason";

/// Run inside with `sh`, without any other program but `setarch`; prints one fact per line. Its arguments are the
/// platform's pid, paths it must not read, `--`, and sockets.
const SCRIPT: &str = r#"
platform=$1; shift
while read -r key rest; do case $key in
  Uid:|Cap*|NoNewPrivs:|Seccomp:) echo "status $key $rest";;
esac; done </proc/self/status
case $(LC_ALL=C setarch linux64 true 2>&1) in
  *"Operation not permitted"*) echo "filtered personality";;
esac
while [ "$1" != -- ]; do { true <"$1"; } 2>/dev/null && echo "seen $1"; shift; done
shift
for path; do [ -w "$path" ] && echo "socket $path"; done
for path in /x /usr/x /etc/x /dev/x /run/x /tmp/x /var/tmp/x /dev/shm/x /proc/self/comm
do { true >"$path"; } 2>/dev/null && echo "wrote $path"; done
{ true </proc/$platform/environ; } 2>/dev/null && echo "unwalled the platform can be read"
{ true </etc/passwd; } 2>/dev/null && echo "unwalled the host's accounts can be read"
kill -0 $platform 2>/dev/null && echo "unscoped the platform can be signalled"
for path in /dev/*; do
  [ -c "$path" ] || [ -b "$path" ] || continue
  case $path in /dev/null|/dev/zero|/dev/full|/dev/random|/dev/urandom|/dev/tty) continue;; esac
  { true <"$path"; } 2>/dev/null && echo "device $path"
done
{ true >"$TMPDIR/x" && true >"$HOME/x" && true >./x; } 2>/dev/null || echo "unwritable scratch space"
while read -r line; do echo "limit $line"; done </proc/self/limits
echo "end"
"#;

/// Finds Landlock and verifies each property by running a program behind it.
pub(crate) async fn find_landlock(
    base: &RungBase,
    config: &ProbeConfig,
) -> Result<SessionRung, RungUnavailable> {
    let abi = landlock::usable_abi().map_err(|reason| rung_unavailable(reason, NEWER))?;
    let entry = config.entry.clone().ok_or_else(|| {
        rung_unavailable("this process has no program that applies it", "use `omoi`")
    })?;
    let mut rung = SessionRung {
        base: base.clone(),
        wall: Some(HostWall { entry, abi }),
        version: format!("Landlock ABI {abi}, Linux {}", kernel_release()),
        properties: Vec::new(),
    };
    let bound = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let sockets = HostSockets::listed(&bound);
    let script = probe_script(base, &sockets);
    let facts = run_probe(&rung, base, &script).await?;
    if let Some(place) = facts.facts_of_kind("unwritable").next() {
        return Err(rung_unavailable(format!("{place} cannot be used"), REASON));
    }
    let facts = facts.under_landlock(Ok(abi));
    let all = Property::ALL.iter().copied();
    rung.properties = all
        .map(|property| (property, verify_property(property, &facts, base, &sockets)))
        .collect();
    Ok(rung)
}

fn probe_script(base: &RungBase, sockets: &HostSockets) -> ProbeScript {
    let mut args: Vec<OsString> = vec![std::process::id().to_string().into()];
    args.extend(base.hidden.iter().map(OsString::from));
    args.push("--".into());
    args.extend(sockets.tried.iter().map(OsString::from));
    ProbeScript {
        text: SCRIPT,
        args,
        remedy: REASON,
    }
}

/// Sockets of the host that have a path.
#[derive(Debug, Default, PartialEq, Eq)]
struct HostSockets {
    tried: Vec<String>,
    /// How many more there are.
    untried: usize,
}

impl HostSockets {
    /// Those that the kernel lists, where each connection has a line of its own.
    fn listed(text: &str) -> Self {
        let paths = text.lines().filter_map(|line| {
            let (_, path) = line.split_once(" /")?;
            Some(format!("/{path}"))
        });
        let paths: BTreeSet<String> = paths.collect();
        let untried = paths.len().saturating_sub(SOCKETS_MAX);
        let tried = paths.into_iter().take(SOCKETS_MAX).collect();
        Self { tried, untried }
    }
}

fn verify_property(
    property: Property,
    facts: &ProbeFacts,
    base: &RungBase,
    sockets: &HostSockets,
) -> PropertyStatus {
    let is_root = rustix::process::geteuid().is_root();
    let abi = match &facts.landlock {
        Ok(abi) => *abi,
        Err(reason) => return PropertyStatus::not_held(reason),
    };
    match property {
        Property::Files => files_status(facts, abi),
        Property::ProtectedPaths => PropertyStatus::not_held(
            "Landlock takes nothing away below a workspace that can be written",
        ),
        Property::Identity => facts.user_identity(&["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"]),
        Property::Processes => PropertyStatus::not_held(
            "no process space: it sees the host's processes and may leave some behind",
        ),
        Property::Network => network_status(facts, abi, sockets, is_root),
        Property::Devices => facts.none_of_kind("device"),
        Property::Landlock => facts.landlock_rules(abi),
        Property::Kernel => facts.call_filter(),
        Property::Memory => {
            let of_group = base.cgroups.property_status(property);
            let of_group = of_group.unwrap_or_else(|| PropertyStatus::not_held("no limit group"));
            watched_amount(of_group, is_root, abi)
        }
        Property::Cpu => base
            .cgroups
            .property_status(property)
            .unwrap_or_else(|| PropertyStatus::not_held("no limit group")),
        Property::ProcessCount => watched_amount(facts.process_count(base), is_root, abi),
        Property::FileSize => facts.file_size(),
        Property::TempSize | Property::WorkspaceSize => PropertyStatus::ByWatcher,
    }
}

/// Everything that a program starts is below its follower, unless that can be ended from inside: Landlock keeps signals
/// in since its scopes. Before, only a user of its own tells a program apart from others; root's platform gives it one.
fn watched_amount(of_group: PropertyStatus, is_root: bool, abi: i32) -> PropertyStatus {
    match of_group {
        PropertyStatus::No(reason) if !is_root && abi < ABI_SCOPES => {
            PropertyStatus::not_held(format!(
                "{reason}; the watcher does not see what ends its follower, from whose signals Landlock ABI \
                 {abi} keeps nobody; {ABI_SCOPES} does (Linux 6.12)"
            ))
        }
        of_group => of_group.or_watched(),
    }
}

/// Landlock guards what files hold and which there are, not their permissions and times.
fn files_status(facts: &ProbeFacts, abi: i32) -> PropertyStatus {
    for kind in ["seen", "wrote"] {
        let status = facts.none_of_kind(kind);
        if !status.is_yes() {
            return status;
        }
    }
    if rustix::process::geteuid().is_root() {
        return PropertyStatus::YesBy(format!(
            "Landlock ABI {abi}, which leaves names and sizes to be seen"
        ));
    }
    PropertyStatus::not_held(format!(
        "Landlock ABI {abi} leaves permissions and times of the same user's files to be changed; a \
         platform started as root gives sandboxes a user of their own"
    ))
}

/// The filter leaves sockets of family UNIX alone, and those have names in the file system, which
/// Landlock guards only since its ninth version.
fn network_status(
    facts: &ProbeFacts,
    abi: i32,
    sockets: &HostSockets,
    is_root: bool,
) -> PropertyStatus {
    if facts.call_filter() != PropertyStatus::Yes {
        return PropertyStatus::not_held("no system-call filter");
    }
    if abi < ABI_TCP {
        return PropertyStatus::not_held(format!("Landlock ABI {abi} leaves TCP alone"));
    }
    if abi < ABI_SCOPES {
        return PropertyStatus::not_held(format!(
            "Landlock ABI {abi} leaves abstract sockets alone; {ABI_SCOPES} guards them (Linux 6.12)"
        ));
    }
    if abi >= ABI_SOCKETS {
        return PropertyStatus::YesBy(format!("Landlock ABI {abi} and the system-call filter"));
    }
    if !is_root {
        return PropertyStatus::not_held(format!(
            "services of the same user listen on UNIX sockets, which Landlock ABI {abi} leaves \
             alone; {ABI_SOCKETS} guards them (Linux 7.1), and so does a platform started as root"
        ));
    }
    match facts.facts_of_kind("socket").next() {
        Some(path) => PropertyStatus::not_held(format!("the socket `{path}` can be reached")),
        None if sockets.untried > 0 => PropertyStatus::not_held(format!(
            "{} of the host's sockets were not tried",
            sockets.untried
        )),
        None => PropertyStatus::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_paths_of_sockets_and_no_abstract_names() {
        let listed = "Num       RefCount Protocol Flags    Type St Inode Path\n\
             0000000000000000: 00000002 00000000 00010000 0001 01 14013 /run/a b.sock\n\
             0000000000000000: 00000003 00000000 00000000 0001 03 15001\n\
             0000000000000000: 00000002 00000000 00010000 0001 01 14014 @abstract/x\n";
        let found = HostSockets::listed(listed);
        assert_eq!(
            (found.tried, found.untried),
            (vec!["/run/a b.sock".into()], 0)
        );
    }

    #[test]
    fn a_socket_with_many_connections_hides_no_other() {
        let line = |path: &str| format!("0: 00000003 00000000 00000000 0001 03 15001 {path}\n");
        let busy = line("/run/busy").repeat(SOCKETS_MAX);
        let found = HostSockets::listed(&(busy + &line("/run/last")));
        assert_eq!(found.tried, ["/run/busy", "/run/last"]);
        let many: String = (0..SOCKETS_MAX + 3)
            .map(|n| line(&format!("/run/{n}")))
            .collect();
        let found = HostSockets::listed(&many);
        assert_eq!((found.tried.len(), found.untried), (SOCKETS_MAX, 3));
    }

    #[test]
    fn the_network_is_held_only_where_every_way_out_was_tried() {
        let (none, some) = (
            HostSockets::default(),
            HostSockets {
                untried: 1,
                ..HostSockets::default()
            },
        );
        let filtered = ["status Seccomp: 2", "filtered personality"];
        for (abi, sockets, is_root, is_held) in [
            (ABI_SCOPES, &none, true, true),
            (ABI_SCOPES - 1, &none, true, false),
            (ABI_TCP - 1, &none, true, false),
            (ABI_SCOPES, &some, true, false),
            (ABI_SCOPES, &none, false, false),
            (ABI_SOCKETS, &some, false, true),
        ] {
            let facts = ProbeFacts::of_lines(&filtered);
            let found = network_status(&facts, abi, sockets, is_root);
            assert_eq!(
                found.is_yes(),
                is_held,
                "{abi} {sockets:?} {is_root}: {found:?}"
            );
        }
        let reached = ProbeFacts::of_lines(&[filtered[0], filtered[1], "socket /run/x"]);
        assert!(!network_status(&reached, ABI_SCOPES, &none, true).is_yes());
    }

    #[test]
    fn amounts_are_watched_only_where_nothing_leaves_the_watcher() {
        let no_group = || PropertyStatus::not_held("no limit group");
        for (is_root, abi, is_watched) in [
            (true, ABI_TCP, true),
            (false, ABI_SCOPES, true),
            (false, ABI_SCOPES - 1, false),
        ] {
            let found = watched_amount(no_group(), is_root, abi);
            assert_eq!(found == PropertyStatus::ByWatcher, is_watched, "{found:?}");
        }
        assert_eq!(
            watched_amount(PropertyStatus::Yes, false, ABI_TCP),
            PropertyStatus::Yes
        );
    }
}
