//! A rung is believed only in what a program saw inside: how that program is run, and how its lines are read.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tracing::debug;

use crate::base::RungBase;
use crate::landlock;
use crate::policy::{ProtectedPath, SandboxLaunch};
use crate::probe::RungUnavailable;
use crate::property::{Property, PropertyStatus};
use crate::provider::{LaunchError, Provider};
use crate::running::SandboxEnd;
use crate::workspace;

const REASON: &str = "remove the cause named in the reason";

/// A shell script that prints one fact per line and `end` as the last.
pub(crate) struct ProbeScript {
    pub(crate) text: &'static str,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// What a person can do when no sandbox comes about.
    pub(crate) remedy: &'static str,
}

/// Runs `script` on `rung` in a throw-away workspace.
pub(crate) async fn run_probe(
    rung: &dyn Provider,
    base: &RungBase,
    script: &ProbeScript,
) -> Result<ProbeFacts, RungUnavailable> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("omoi-probe-{}-{n}", std::process::id());
    let dir = base.state_dir.join(format!("{name}.work"));
    let prepared = fs::create_dir_all(&dir)
        .and_then(|()| symlink("nowhere", dir.join("link")))
        .map_err(|e| rung_unavailable(format!("could not make `{}`: {e}", dir.display()), REASON))
        .and_then(|()| {
            let prepared = rung.prepare_workspace(&dir);
            prepared.map_err(|e| rung_unavailable(error_chain(&e), REASON))
        });
    let result = match prepared {
        Ok(()) => run_script(rung, script, SandboxLaunch::new(name, &dir, [""])).await,
        Err(reason) => Err(reason),
    };
    if let Err(error) = workspace::remove_tree(&dir) {
        tracing::warn!(%error, "Could not remove the probe's workspace");
    }
    base.users.free_user(&dir);
    result
}

async fn run_script(
    rung: &dyn Provider,
    script: &ProbeScript,
    mut launch: SandboxLaunch,
) -> Result<ProbeFacts, RungUnavailable> {
    launch.argv = ["/bin/sh", "-c", script.text, "sh"].map(Into::into).into();
    launch.argv.extend(script.args.iter().cloned());
    launch.protected = vec![
        ProtectedPath::read_only("missing"),
        ProtectedPath::masked("link"),
    ];
    launch.wall_timeout = Duration::from_secs(10);
    launch.output_bytes_max = 1 << 20;
    let running = rung.launch(launch).await.map_err(|error| {
        let remedy = match &error {
            LaunchError::Setup { .. } => script.remedy,
            _ => REASON,
        };
        rung_unavailable(error_chain(&error), remedy)
    })?;
    // A sandbox that falls apart here could not make its namespaces or mounts.
    let exit = running.wait().await;
    let exit = exit.map_err(|e| rung_unavailable(error_chain(&e), script.remedy))?;
    ProbeFacts::from_exit(&exit).map_err(|reason| rung_unavailable(reason, REASON))
}

pub(crate) fn rung_unavailable(
    reason: impl Into<String>,
    remedy: impl Into<String>,
) -> RungUnavailable {
    let (reason, remedy) = (reason.into(), remedy.into());
    debug!(reason, "A rung cannot be used here");
    RungUnavailable { reason, remedy }
}

/// Lines that the probe script printed, one fact each.
pub(crate) struct ProbeFacts {
    lines: Vec<String>,
    /// Landlock's version where its rules were applied, or why they were not.
    pub(crate) landlock: Result<i32, String>,
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
            landlock: Err("the rung does not apply it".into()),
        })
    }

    /// What a program that printed `lines` would have seen.
    #[cfg(test)]
    pub(crate) fn of_lines(lines: &[&str]) -> Self {
        Self {
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            landlock: Err("not asked".into()),
        }
    }

    /// The same, seen under rules of that version or without any for that reason.
    pub(crate) fn under_landlock(self, landlock: Result<i32, String>) -> Self {
        Self { landlock, ..self }
    }

    pub(crate) fn facts_of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
    }

    /// Held when no fact is of this kind.
    pub(crate) fn none_of_kind(&self, kind: &str) -> PropertyStatus {
        match self.facts_of_kind(kind).next() {
            None => PropertyStatus::Yes,
            Some(fact) => PropertyStatus::not_held(format!("{kind} {fact}")),
        }
    }

    fn status_field(&self, key: &str) -> Option<&str> {
        self.facts_of_kind("status")
            .find_map(|fact| Some(fact.strip_prefix(key)?.trim()))
    }

    /// Whether the program is an ordinary user for good, without any capability in these sets.
    pub(crate) fn user_identity(&self, sets: &[&str]) -> PropertyStatus {
        let users = self.status_field("Uid:").unwrap_or_default();
        let mut users = users.split_whitespace();
        let own = users.next().filter(|uid| *uid != "0");
        let is_powerless = own.is_some_and(|own| users.all(|uid| uid == own))
            && self.status_field("NoNewPrivs:") == Some("1")
            && sets.iter().all(|set| {
                let set = self.status_field(set);
                set.is_some_and(|set| set.chars().all(|c| c == '0'))
            });
        held_when(is_powerless, "the program kept an identity or capabilities")
    }

    /// Whether our filter of system calls is in force: somebody else's may be too, so that a call must
    /// have been refused which others let through.
    pub(crate) fn call_filter(&self) -> PropertyStatus {
        if self.status_field("Seccomp:") != Some("2") {
            return PropertyStatus::not_held("no system-call filter");
        }
        let is_ours = self.facts_of_kind("filtered").next().is_some();
        held_when(
            is_ours,
            "a system-call filter, but `setarch` was not seen to be refused by it",
        )
    }

    /// Whether the rules were seen to bite, and what their version leaves out.
    pub(crate) fn landlock_rules(&self, abi: i32) -> PropertyStatus {
        let missed = self.facts_of_kind("unwalled").next();
        let missed = missed.or_else(|| self.facts_of_kind("unscoped").next());
        match missed {
            // Not every rung can try it: a container's program is process 1 and sees no other.
            _ if abi < landlock::ABI_SCOPES => PropertyStatus::not_held(format!(
                "Landlock ABI {abi} leaves signals and abstract sockets alone; {} keeps them inside \
                 (Linux 6.12)",
                landlock::ABI_SCOPES
            )),
            None => PropertyStatus::YesBy(format!("Landlock ABI {abi}")),
            Some(fact) => PropertyStatus::not_held(format!("{fact} under Landlock ABI {abi}")),
        }
    }

    /// Whether the kernel limits a file to the size that a launch sets by default.
    pub(crate) fn file_size(&self) -> PropertyStatus {
        let limits = SandboxLaunch::new("", "", [""]).limits;
        self.process_limit("Max file size", limits.file_bytes_max)
    }

    /// A limit group counts the tree; without one the kernel counts the user, which is the same thing
    /// only where the sandbox has a user of its own.
    pub(crate) fn process_count(&self, base: &RungBase) -> PropertyStatus {
        match base.cgroups.property_status(Property::ProcessCount) {
            Some(PropertyStatus::No(_)) if rustix::process::geteuid().is_root() => {
                let limits = SandboxLaunch::new("", "", [""]).limits;
                self.process_limit("Max processes", limits.processes_max)
            }
            Some(held) => held,
            None => PropertyStatus::not_held("no limit group"),
        }
    }

    fn process_limit(&self, line_start: &str, limit: u64) -> PropertyStatus {
        let mut lines = self.facts_of_kind("limit");
        let line = lines.find(|line| line.starts_with(line_start));
        let is_set = line.is_some_and(|line| line.contains(&limit.to_string()));
        held_when(is_set, "the limit was not set")
    }
}

pub(crate) fn held_when(holds: bool, reason: &str) -> PropertyStatus {
    if holds {
        PropertyStatus::Yes
    } else {
        PropertyStatus::not_held(reason)
    }
}

/// An error with its causes in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_somebody_else_is_not_ours() {
        for (lines, is_held) in [
            (&["status Seccomp: 2", "filtered personality"][..], true),
            (&["status Seccomp: 2"], false),
            (&["status Seccomp: 0", "filtered personality"], false),
        ] {
            let found = ProbeFacts::of_lines(lines).call_filter();
            assert_eq!(found.is_yes(), is_held, "{lines:?}: {found:?}");
        }
    }

    #[test]
    fn rules_without_scopes_are_not_held_even_where_nothing_was_seen() {
        for (lines, abi, is_held) in [
            (&[][..], landlock::ABI_SCOPES, true),
            (&[], landlock::ABI_SCOPES - 1, false),
            (&["unscoped process 1"], landlock::ABI_SCOPES, false),
            (&["unwalled process 1"], landlock::ABI_SCOPES, false),
        ] {
            let found = ProbeFacts::of_lines(lines).landlock_rules(abi);
            assert_eq!(found.is_yes(), is_held, "{lines:?} {abi}: {found:?}");
        }
    }
}
