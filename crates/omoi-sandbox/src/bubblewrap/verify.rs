//! Finds bubblewrap and believes only what a program inside has seen.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::users::Users;
use super::{Bubblewrap, Inner, launch_inside};
use crate::base::{Base, kernel_release};
use crate::policy::{Launch, Protected, inside};
use crate::probe::Unavailable;
use crate::process::ask;
use crate::property::{Held, Property};
use crate::provider::LaunchError;
use crate::running::Exit;
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
while read -r name rest; do case $name in *:) echo "interface ${name%:}";; esac; done </proc/net/dev
for path in /dev/*; do echo "device ${path#/dev/}"; done
while read -r line; do echo "limit $line"; done </proc/self/limits
while read -r line; do echo "mount $line"; done </proc/self/mountinfo
echo "end"
"#;

/// Finds bubblewrap at `program` and verifies each property by running a program inside.
pub(crate) async fn find(base: &Base, program: &Path) -> Result<Bubblewrap, Unavailable> {
    let version = match ask(program, &["--version"]).await {
        Ok(version) => version,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let reason = format!("bubblewrap is not installed at `{}`", program.display());
            return Err(unavailable(reason, INSTALL));
        }
        Err(e) => {
            let reason = format!("`{}` does not run: {e}", program.display());
            return Err(unavailable(reason, INSTALL));
        }
    };
    if number(&version).is_none_or(|found| found < VERSION_MIN) {
        let reason = format!("`{version}` is too old, 0.8.0 is needed");
        return Err(unavailable(reason, "install a newer bubblewrap"));
    }
    let inner = Arc::new(Inner {
        base: base.clone(),
        program: program.into(),
        users: Users::default(),
    });
    let seen = try_out(&inner).await?;
    let properties = Property::ALL
        .iter()
        .map(|property| (*property, judge(*property, &seen, base)))
        .collect();
    Ok(Bubblewrap {
        inner,
        version: format!("{version}, Linux {}", kernel_release()),
        properties,
    })
}

/// The three parts of `bubblewrap 0.8.0`.
fn number(version: &str) -> Option<[u32; 3]> {
    let mut parts = version
        .split_whitespace()
        .nth(1)?
        .split('.')
        .map(str::parse);
    let mut next = || parts.next().unwrap_or(Ok(0)).ok();
    Some([next()?, next()?, next()?])
}

/// Runs the script in a throw-away workspace.
async fn try_out(inner: &Arc<Inner>) -> Result<Seen, Unavailable> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("omoi-probe-{}-{n}", std::process::id());
    let dir = inner.base.state_dir.join(format!("{name}.work"));
    let prepared = fs::create_dir_all(&dir)
        .and_then(|()| symlink("nowhere", dir.join("link")))
        .map_err(|e| unavailable(format!("could not make `{}`: {e}", dir.display()), REASON))
        .and_then(|()| {
            let prepared = inner.users.prepare(&dir);
            prepared.map_err(|e| unavailable(chain(&e), REASON))
        });
    let result = match prepared {
        Ok(()) => run_script(inner, name, &dir).await,
        Err(reason) => Err(reason),
    };
    if let Err(error) = workspace::remove(&dir) {
        tracing::warn!(%error, "Could not remove the probe's workspace");
    }
    inner.users.forget(&dir);
    result
}

async fn run_script(inner: &Arc<Inner>, name: String, dir: &Path) -> Result<Seen, Unavailable> {
    let mut argv: Vec<OsString> = ["/bin/sh", "-c", SCRIPT, "sh"].map(Into::into).into();
    // Places inside that happen to share a name with a hidden one are ours.
    let foreign = |path: &&PathBuf| !Path::new(inside::HOME).starts_with(path);
    argv.extend(inner.base.hidden.iter().filter(foreign).map(Into::into));
    let mut launch = Launch::new(name, dir, argv);
    launch.protected = vec![Protected::read_only("missing"), Protected::masked("link")];
    launch.wall_timeout = Duration::from_secs(10);
    launch.output_bytes_max = 1 << 20;
    let running = launch_inside(Arc::clone(inner), launch).await;
    let running = running.map_err(|error| {
        let remedy = match &error {
            LaunchError::Setup { .. } => NAMESPACES,
            _ => REASON,
        };
        unavailable(chain(&error), remedy)
    })?;
    // A sandbox that falls apart here could not make its namespaces or mounts.
    let exit = running.wait().await;
    let exit = exit.map_err(|e| unavailable(chain(&e), NAMESPACES))?;
    Seen::read(&exit).map_err(|reason| unavailable(reason, REASON))
}

fn unavailable(reason: String, remedy: &str) -> Unavailable {
    Unavailable {
        reason,
        remedy: remedy.into(),
    }
}

/// What the script reported.
struct Seen {
    lines: Vec<String>,
}

impl Seen {
    fn read(exit: &Exit) -> Result<Self, String> {
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
        })
    }

    fn facts<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
    }

    fn status(&self, key: &str) -> Option<&str> {
        self.facts("status")
            .find_map(|fact| Some(fact.strip_prefix(key)?.trim()))
    }
}

fn judge(property: Property, seen: &Seen, base: &Base) -> Held {
    let none_of = |kind: &str| match seen.facts(kind).next() {
        None => Held::Yes,
        Some(fact) => Held::no(format!("{kind} {fact}")),
    };
    let when = |holds: bool, reason: &str| if holds { Held::Yes } else { Held::no(reason) };
    match property {
        Property::Files => match none_of("seen") {
            Held::Yes => none_of("wrote"),
            other @ (Held::ByWatcher | Held::No(_)) => other,
        },
        Property::ProtectedPaths => none_of("unprotected"),
        Property::Identity => when(
            is_powerless(seen),
            "the program kept an identity or capabilities",
        ),
        Property::Processes => {
            let own = seen.facts("self").next();
            let stranger = seen
                .facts("pid")
                .find(|pid| *pid != "1" && Some(*pid) != own);
            match stranger {
                Some(pid) => Held::no(format!("process {pid} is visible")),
                None => none_of("environ"),
            }
        }
        Property::Network => match seen.facts("interface").find(|name| *name != "lo") {
            Some(name) => Held::no(format!("interface {name} is visible")),
            None => Held::Yes,
        },
        Property::Devices => match seen.facts("device").find(|d| !DEVICES.contains(d)) {
            Some(name) => Held::no(format!("device {name} is visible")),
            None => Held::Yes,
        },
        Property::Kernel => when(
            seen.status("Seccomp:") == Some("2"),
            "no system-call filter",
        ),
        Property::Memory => base
            .cgroups
            .held(property)
            .map_or(Held::ByWatcher, Held::or_watched),
        Property::Cpu => base
            .cgroups
            .held(property)
            .unwrap_or_else(|| Held::no("no limit group")),
        Property::ProcessCount => process_count(seen, base).or_watched(),
        Property::FileSize => {
            let limit = Launch::new("", "", [""]).limits.file_bytes_max.to_string();
            let line = seen.facts("limit").find(|l| l.starts_with("Max file size"));
            when(
                line.is_some_and(|l| l.contains(&limit)),
                "the limit was not set",
            )
        }
        Property::TempSize => {
            let sized = |at: &str| {
                seen.facts("mount")
                    .any(|line| line.contains(&format!(" {at} ")) && line.contains("size="))
            };
            when(
                sized(inside::TEMP) && sized(inside::HOME),
                "the limit was not set",
            )
        }
        Property::WorkspaceSize => Held::ByWatcher,
    }
}

fn is_powerless(seen: &Seen) -> bool {
    let caps = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"];
    let users = seen.status("Uid:").unwrap_or_default();
    users.split_whitespace().eq(["1000"; 4])
        && seen.status("NoNewPrivs:") == Some("1")
        && caps.iter().all(|cap| {
            seen.status(cap)
                .is_some_and(|set| set.chars().all(|c| c == '0'))
        })
}

/// A limit group counts the tree; without one the kernel counts the user, which is the same thing
/// only where the sandbox has a user of its own.
fn process_count(seen: &Seen, base: &Base) -> Held {
    match base.cgroups.held(Property::ProcessCount) {
        Some(Held::No(_)) if rustix::process::geteuid().is_root() => {
            let limit = Launch::new("", "", [""]).limits.processes_max.to_string();
            let line = seen.facts("limit").find(|l| l.starts_with("Max processes"));
            if line.is_some_and(|l| l.contains(&limit)) {
                Held::Yes
            } else {
                Held::no("the limit was not set")
            }
        }
        Some(held) => held,
        None => Held::no("no limit group"),
    }
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_versions_as_numbers() {
        assert_eq!(number("bubblewrap 0.8.0"), Some([0, 8, 0]));
        assert!(number("bubblewrap 0.11.0") > Some(VERSION_MIN));
        assert!(number("bubblewrap 0.6.1") < Some(VERSION_MIN));
        assert_eq!(number("bubblewrap 1.2"), Some([1, 2, 0]));
        assert_eq!(number("nonsense"), None);
    }
}
