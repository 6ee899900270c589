//! Finds bubblewrap and verifies each property by a program that runs inside.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, io};
use tracing::debug;

use super::users::WorkspaceUsers;
use super::{BubblewrapInner, BubblewrapRung, launch_inside};
use crate::base::{RungBase, kernel_release};
use crate::landlock;
use crate::policy::{ProtectedPath, SandboxLaunch, inside};
use crate::probe::{ProbeConfig, RungUnavailable};
use crate::process::program_output;
use crate::property::{Property, PropertyStatus};
use crate::provider::LaunchError;
use crate::running::SandboxEnd;
use crate::second_wall::SecondWall;
use crate::workspace;

/// `--disable-userns` came with it.
const VERSION_MIN: [u32; 3] = [0, 8, 0];
const INSTALL: &str = "install it: `apt install bubblewrap`, or your system's package of that name";
const REASON: &str = "remove the cause named in the reason";
const NAMESPACES: &str = "allow unprivileged user namespaces (sysctl `user.max_user_namespaces` above 0, \
     `kernel.apparmor_restrict_unprivileged_userns=0` or an AppArmor profile for bwrap), \
     or run the platform where they are allowed";

/// Everything that may show below `/dev`.
const DEVICES: &[&str] = &[
    "console", "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
    "stdout", "tty", "urandom", "zero",
];

/// Run inside with `sh`, without any other program but `mv`; prints one fact per line.
const SCRIPT: &str = r#"
while read -r key rest; do case $key in
  Uid:|Cap*|NoNewPrivs:|Seccomp:) echo "status $key $rest";;
esac; done </proc/self/status
for path in "$@"; do [ -e "$path" ] && echo "seen $path"; done
for path in /x /usr/x /etc/x /dev/x /run/x /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname
do { true >"$path"; } 2>/dev/null && echo "wrote $path"; done
for path in missing link
do { true >"/sandbox/$path/x"; } 2>/dev/null && echo "unprotected $path"; done
mv /sandbox/missing /sandbox/moved 2>/dev/null && echo "unprotected missing"
mv /sandbox/link /sandbox/moved 2>/dev/null && echo "unprotected link"
echo "self $$"
for path in /proc/[0-9]*; do echo "pid ${path#/proc/}"; done
read -r line </proc/1/environ; [ -n "$line" ] && echo "environ of process 1"
{ true </proc/1/environ; } 2>/dev/null && echo "unwalled process 1 can be read"
kill -0 1 2>/dev/null && echo "unscoped process 1 can be signalled"
while read -r name rest; do case $name in *:) echo "interface ${name%:}";; esac; done </proc/net/dev
for path in /dev/*; do echo "device ${path#/dev/}"; done
while read -r line; do echo "limit $line"; done </proc/self/limits
while read -r line; do echo "mount $line"; done </proc/self/mountinfo
echo "end"
"#;

/// Finds bubblewrap at `program` and verifies each property by running a program inside.
pub(crate) async fn find_bubblewrap(
    base: &RungBase,
    config: &ProbeConfig,
) -> Result<BubblewrapRung, RungUnavailable> {
    let program = config.bubblewrap.as_path();
    let version = match program_output(program, &["--version"]).await {
        Ok(version) => version,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let reason = format!("bubblewrap is not installed at `{}`", program.display());
            return Err(rung_unavailable(reason, INSTALL));
        }
        Err(e) => {
            let reason = format!("`{}` does not run: {e}", program.display());
            return Err(rung_unavailable(reason, INSTALL));
        }
    };
    if parse_version(&version).is_none_or(|found| found < VERSION_MIN) {
        let reason = format!("`{version}` is too old, 0.8.0 is needed");
        return Err(rung_unavailable(reason, "install a newer bubblewrap"));
    }
    let inner = |wall| {
        Arc::new(BubblewrapInner {
            base: base.clone(),
            program: program.into(),
            users: WorkspaceUsers::default(),
            wall,
        })
    };
    let (inner, facts) = match second_wall(config) {
        Err(reason) => probe_bare(inner(None), reason).await?,
        Ok(wall) => {
            let walled = inner(Some(wall));
            match run_probe(&walled).await {
                Ok(facts) => (walled, facts),
                Err(unavailable) => {
                    let reason = format!("Landlock does not work inside: {}", unavailable.reason);
                    probe_bare(inner(None), reason).await?
                }
            }
        }
    };
    let properties: Vec<_> = Property::ALL
        .iter()
        .map(|property| (*property, verify_property(*property, &facts, base)))
        .collect();
    for (property, status) in &properties {
        debug!(?property, ?status, "Verified a property of bubblewrap");
    }
    Ok(BubblewrapRung {
        inner,
        version: format!("{version}, Linux {}", kernel_release()),
        properties,
    })
}

/// Probes without the second wall, which is not to be had because of `reason`.
async fn probe_bare(
    inner: Arc<BubblewrapInner>,
    reason: String,
) -> Result<(Arc<BubblewrapInner>, ProbeFacts), RungUnavailable> {
    let mut facts = run_probe(&inner).await?;
    facts.landlock = Err(reason);
    Ok((inner, facts))
}

/// The second wall that this host allows, or why it allows none.
fn second_wall(config: &ProbeConfig) -> Result<SecondWall, String> {
    let abi = landlock::usable_abi()?;
    let entry = config.entry.clone();
    let entry = entry.ok_or("this process has no program that applies it")?;
    Ok(SecondWall { entry, abi })
}

/// Whether the rules were seen to bite, and what their version leaves out.
fn verify_landlock(abi: i32, facts: &ProbeFacts) -> PropertyStatus {
    let missed = facts.facts_of_kind("unwalled").next();
    let missed = missed.or_else(|| facts.facts_of_kind("unscoped").next());
    match missed {
        None => PropertyStatus::YesBy(format!("Landlock ABI {abi}")),
        Some(fact) if abi < landlock::ABI_SCOPES => PropertyStatus::not_held(format!(
            "{fact} under Landlock ABI {abi}; {} keeps signals inside (Linux 6.12)",
            landlock::ABI_SCOPES
        )),
        Some(fact) => PropertyStatus::not_held(format!("{fact} under Landlock ABI {abi}")),
    }
}

/// The three parts of `bubblewrap 0.8.0`.
fn parse_version(version: &str) -> Option<[u32; 3]> {
    let mut parts = version
        .split_whitespace()
        .nth(1)?
        .split('.')
        .map(str::parse);
    let mut next = || parts.next().unwrap_or(Ok(0)).ok();
    Some([next()?, next()?, next()?])
}

/// Runs the script in a throw-away workspace.
async fn run_probe(inner: &Arc<BubblewrapInner>) -> Result<ProbeFacts, RungUnavailable> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("omoi-probe-{}-{n}", std::process::id());
    let dir = inner.base.state_dir.join(format!("{name}.work"));
    let prepared = fs::create_dir_all(&dir)
        .and_then(|()| symlink("nowhere", dir.join("link")))
        .map_err(|e| rung_unavailable(format!("could not make `{}`: {e}", dir.display()), REASON))
        .and_then(|()| {
            let prepared = inner.users.prepare_workspace(&dir);
            prepared.map_err(|e| rung_unavailable(error_chain(&e), REASON))
        });
    let result = match prepared {
        Ok(()) => run_script(inner, name, &dir).await,
        Err(reason) => Err(reason),
    };
    if let Err(error) = workspace::remove_tree(&dir) {
        tracing::warn!(%error, "Could not remove the probe's workspace");
    }
    inner.users.free_user(&dir);
    result
}

async fn run_script(
    inner: &Arc<BubblewrapInner>,
    name: String,
    dir: &Path,
) -> Result<ProbeFacts, RungUnavailable> {
    let mut argv: Vec<OsString> = ["/bin/sh", "-c", SCRIPT, "sh"].map(Into::into).into();
    // Places inside that happen to share a name with a hidden one are ours.
    let foreign = |path: &&PathBuf| !Path::new(inside::HOME).starts_with(path);
    argv.extend(inner.base.hidden.iter().filter(foreign).map(Into::into));
    let mut launch = SandboxLaunch::new(name, dir, argv);
    launch.protected = vec![
        ProtectedPath::read_only("missing"),
        ProtectedPath::masked("link"),
    ];
    launch.wall_timeout = Duration::from_secs(10);
    launch.output_bytes_max = 1 << 20;
    let running = launch_inside(Arc::clone(inner), launch).await;
    let running = running.map_err(|error| {
        let remedy = match &error {
            LaunchError::Setup { .. } => NAMESPACES,
            _ => REASON,
        };
        rung_unavailable(error_chain(&error), remedy)
    })?;
    // A sandbox that falls apart here could not make its namespaces or mounts.
    let exit = running.wait().await;
    let exit = exit.map_err(|e| rung_unavailable(error_chain(&e), NAMESPACES))?;
    let mut facts =
        ProbeFacts::from_exit(&exit).map_err(|reason| rung_unavailable(reason, REASON))?;
    if let Some(wall) = &inner.wall {
        facts.landlock = Ok(wall.abi);
    }
    Ok(facts)
}

fn rung_unavailable(reason: String, remedy: &str) -> RungUnavailable {
    debug!(reason, "Bubblewrap cannot be used here");
    RungUnavailable {
        reason,
        remedy: remedy.into(),
    }
}

/// Lines that the probe script printed, one fact each.
struct ProbeFacts {
    lines: Vec<String>,
    /// Landlock's version where its rules were applied, or why they were not.
    landlock: Result<i32, String>,
}

impl ProbeFacts {
    fn from_exit(exit: &SandboxEnd) -> Result<Self, String> {
        let text = exit.stdout.to_text();
        if !text.ends_with("end\n") {
            let complaint = exit.stderr.to_text();
            return Err(format!(
                "the probe ended with {:?}: {}",
                exit.ended,
                complaint.trim()
            ));
        }
        Ok(Self {
            lines: text.lines().map(str::to_owned).collect(),
            landlock: Err("nobody applied it".into()),
        })
    }

    fn facts_of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
    }

    fn status_field(&self, key: &str) -> Option<&str> {
        self.facts_of_kind("status")
            .find_map(|fact| Some(fact.strip_prefix(key)?.trim()))
    }
}

fn verify_property(property: Property, facts: &ProbeFacts, base: &RungBase) -> PropertyStatus {
    let none_of = |kind: &str| match facts.facts_of_kind(kind).next() {
        None => PropertyStatus::Yes,
        Some(fact) => PropertyStatus::not_held(format!("{kind} {fact}")),
    };
    match property {
        Property::Files => match none_of("seen") {
            PropertyStatus::Yes => none_of("wrote"),
            other => other,
        },
        Property::ProtectedPaths => none_of("unprotected"),
        Property::Identity => held_when(
            is_powerless(facts),
            "the program kept an identity or capabilities",
        ),
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
            Ok(abi) => verify_landlock(*abi, facts),
            Err(reason) => PropertyStatus::not_held(reason),
        },
        Property::Kernel => held_when(
            facts.status_field("Seccomp:") == Some("2"),
            "no system-call filter",
        ),
        Property::Memory => base
            .cgroups
            .property_status(property)
            .map_or(PropertyStatus::ByWatcher, PropertyStatus::or_watched),
        Property::Cpu => base
            .cgroups
            .property_status(property)
            .unwrap_or_else(|| PropertyStatus::not_held("no limit group")),
        Property::ProcessCount => process_count(facts, base).or_watched(),
        Property::FileSize => file_size_status(facts),
        Property::TempSize => temp_size_status(facts),
        Property::WorkspaceSize => PropertyStatus::ByWatcher,
    }
}

fn held_when(holds: bool, reason: &str) -> PropertyStatus {
    if holds {
        PropertyStatus::Yes
    } else {
        PropertyStatus::not_held(reason)
    }
}

/// Whether the kernel limits a file to the size that a launch sets by default.
fn file_size_status(facts: &ProbeFacts) -> PropertyStatus {
    let limits = SandboxLaunch::new("", "", [""]).limits;
    let limit = limits.file_bytes_max.to_string();
    let mut lines = facts.facts_of_kind("limit");
    let line = lines.find(|line| line.starts_with("Max file size"));
    held_when(
        line.is_some_and(|line| line.contains(&limit)),
        "the limit was not set",
    )
}

/// Whether the scratch folder and the home folder are mounts of a limited size.
fn temp_size_status(facts: &ProbeFacts) -> PropertyStatus {
    let sized = |at: &str| {
        let mut mounts = facts.facts_of_kind("mount");
        mounts.any(|line| line.contains(&format!(" {at} ")) && line.contains("size="))
    };
    held_when(
        sized(inside::TEMP) && sized(inside::HOME),
        "the limit was not set",
    )
}

fn is_powerless(facts: &ProbeFacts) -> bool {
    let caps = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"];
    let users = facts.status_field("Uid:").unwrap_or_default();
    users.split_whitespace().eq(["1000"; 4])
        && facts.status_field("NoNewPrivs:") == Some("1")
        && caps.iter().all(|cap| {
            facts
                .status_field(cap)
                .is_some_and(|set| set.chars().all(|c| c == '0'))
        })
}

/// A limit group counts the tree; without one the kernel counts the user, which is the same thing
/// only where the sandbox has a user of its own.
fn process_count(facts: &ProbeFacts, base: &RungBase) -> PropertyStatus {
    match base.cgroups.property_status(Property::ProcessCount) {
        Some(PropertyStatus::No(_)) if rustix::process::geteuid().is_root() => {
            let limit = SandboxLaunch::new("", "", [""])
                .limits
                .processes_max
                .to_string();
            let line = facts
                .facts_of_kind("limit")
                .find(|l| l.starts_with("Max processes"));
            if line.is_some_and(|l| l.contains(&limit)) {
                PropertyStatus::Yes
            } else {
                PropertyStatus::not_held("the limit was not set")
            }
        }
        Some(held) => held,
        None => PropertyStatus::not_held("no limit group"),
    }
}

/// An error with its causes in one line.
fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_versions_as_numbers() {
        assert_eq!(parse_version("bubblewrap 0.8.0"), Some([0, 8, 0]));
        assert!(parse_version("bubblewrap 0.11.0") > Some(VERSION_MIN));
        assert!(parse_version("bubblewrap 0.6.1") < Some(VERSION_MIN));
        assert_eq!(parse_version("bubblewrap 1.2"), Some([1, 2, 0]));
        assert_eq!(parse_version("nonsense"), None);
    }
}
