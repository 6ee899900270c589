//! What a program finds in a sandbox with spaces of its own, and which properties that proves.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::base::RungBase;
use crate::policy::inside;
use crate::probe_facts::{ProbeFacts, ProbeScript, held_when};
use crate::property::{Property, PropertyStatus};

/// Everything that may show below `/dev`.
const DEVICES: &[&str] = &[
    "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr",
    "stdin", "stdout", "tty", "urandom", "zero",
];

/// Run inside with `sh`, without any other program but `mv` and `setarch`; prints one fact per line.
const SCRIPT: &str = r#"
while read -r key rest; do case $key in
  Uid:|Cap*|NoNewPrivs:|Seccomp:) echo "status $key $rest";;
esac; done </proc/self/status
case $(LC_ALL=C setarch linux64 true 2>&1) in
  *"Operation not permitted"*) echo "filtered personality";;
esac
for path in "$@"; do [ -e "$path" ] && echo "seen $path"; done
for path in /x /usr/x /etc/x /dev/x /run/x /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname
do { true >"$path"; } 2>/dev/null && echo "wrote $path"; done
for path in missing link
do { true >"/sandbox/$path/x"; } 2>/dev/null && echo "unprotected $path"; done
mv /sandbox/missing /sandbox/moved 2>/dev/null && echo "unprotected missing"
mv /sandbox/link /sandbox/moved 2>/dev/null && echo "unprotected link"
echo "self $$"
for path in /proc/[0-9]*; do echo "pid ${path#/proc/}"; done
{ true >/proc/self/comm; } 2>/dev/null && echo "unwalled files of /proc can be written"
if [ $$ != 1 ]; then
  read -r line </proc/1/environ; [ -n "$line" ] && echo "environ of process 1"
  { true </proc/1/environ; } 2>/dev/null && echo "unwalled process 1 can be read"
  kill -0 1 2>/dev/null && echo "unscoped process 1 can be signalled"
fi
while read -r name rest; do case $name in *:) echo "interface ${name%:}";; esac; done </proc/net/dev
for path in /dev/*; do echo "device ${path#/dev/}"; done
while read -r line; do echo "limit $line"; done </proc/self/limits
while read -r line; do echo "mount $line"; done </proc/self/mountinfo
echo "end"
"#;

/// The script, with the paths it must not see; `remedy` tells what to do when it cannot start.
pub(crate) fn probe_script(base: &RungBase, remedy: &'static str) -> ProbeScript {
    // Places inside that happen to share a name with a hidden one are ours.
    let foreign = |path: &&PathBuf| !Path::new(inside::HOME).starts_with(path);
    let hidden = base.hidden.iter().filter(foreign);
    ProbeScript {
        text: SCRIPT,
        args: hidden.map(OsString::from).collect(),
        remedy,
    }
}

/// Every property, as `facts` show it.
pub(crate) fn verify_properties(
    facts: &ProbeFacts,
    base: &RungBase,
) -> Vec<(Property, PropertyStatus)> {
    let all = Property::ALL.iter().copied();
    let verified = all.map(|property| (property, verify_property(property, facts, base)));
    let verified: Vec<_> = verified.collect();
    for (property, status) in &verified {
        tracing::debug!(?property, ?status, "Verified a property of a sandbox");
    }
    verified
}

fn verify_property(property: Property, facts: &ProbeFacts, base: &RungBase) -> PropertyStatus {
    let none_of = |kind: &str| facts.none_of_kind(kind);
    match property {
        Property::Files => match none_of("seen") {
            PropertyStatus::Yes => none_of("wrote"),
            other => other,
        },
        Property::ProtectedPaths => none_of("unprotected"),
        Property::Identity => {
            facts.user_identity(&["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"])
        }
        Property::Processes => {
            let own = facts.facts_of_kind("self").next();
            let stranger = facts
                .facts_of_kind("pid")
                .find(|pid| *pid != "1" && Some(*pid) != own);
            match stranger {
                Some(pid) => PropertyStatus::not_held(format!("process {pid} is visible")),
                None => none_of("environ"),
            }
        }
        Property::Network => match facts.facts_of_kind("interface").find(|name| *name != "lo") {
            Some(name) => PropertyStatus::not_held(format!("interface {name} is visible")),
            None => PropertyStatus::Yes,
        },
        Property::Devices => match facts.facts_of_kind("device").find(|d| !DEVICES.contains(d)) {
            Some(name) => PropertyStatus::not_held(format!("device {name} is visible")),
            None => PropertyStatus::Yes,
        },
        Property::Landlock => match &facts.landlock {
            Ok(abi) => facts.landlock_rules(*abi),
            Err(reason) => PropertyStatus::not_held(reason),
        },
        Property::Kernel => facts.call_filter(),
        Property::Memory => base
            .cgroups
            .property_status(property)
            .map_or(PropertyStatus::ByWatcher, PropertyStatus::or_watched),
        Property::Cpu => base
            .cgroups
            .property_status(property)
            .unwrap_or_else(|| PropertyStatus::not_held("no limit group")),
        Property::ProcessCount => facts.process_count(base).or_watched(),
        Property::FileSize => facts.file_size(),
        Property::TempSize => temp_size_status(facts),
        Property::WorkspaceSize => PropertyStatus::ByWatcher,
    }
}

/// Whether the scratch folder and the home folder are mounts of a limited size.
fn temp_size_status(facts: &ProbeFacts) -> PropertyStatus {
    // The last one mounted at a place is the one that is used.
    let sized = |at: &str| {
        let mounts = facts.facts_of_kind("mount");
        let mounted = mounts.filter(|line| line.contains(&format!(" {at} ")));
        mounted.last().is_some_and(|line| line.contains("size="))
    };
    held_when(
        sized(inside::TEMP) && sized(inside::HOME),
        "the limit was not set",
    )
}
