//! The name that the process table shows for bubblewrap, by which it is found when its platform could not record it.
//!
//! Bubblewrap's first process inside waits on an event until its parent has mapped users, and asks to die with that
//! parent only afterwards. A parent that is killed in between leaves it waiting for ever, and no pidfile names it yet.

use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tracing::{info, warn};

use crate::pidfile::ProcessIdentity;
use crate::process_table;

const PREFIX: &str = "omoi-sandbox";
/// How long killed processes are waited for.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Which platform started a process, and for which sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StartMark {
    /// The process space that the platform's number counts in.
    space: u64,
    platform: ProcessIdentity,
    sandbox: String,
}

/// The mark of what this process starts for `sandbox`.
pub(crate) fn own_mark(sandbox: &str) -> String {
    let own = ProcessIdentity::of_live(rustix::process::getpid());
    // Without `/proc` no sandbox is found or started at all.
    let own = own.map_or_else(String::new, ProcessIdentity::to_text);
    format!("{PREFIX} {} {own} {sandbox}", own_space())
}

/// The number of this process's process space.
fn own_space() -> u64 {
    static SPACE: OnceLock<u64> = OnceLock::new();
    let read = || fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.st_ino());
    *SPACE.get_or_init(read)
}

impl StartMark {
    /// Reads the first word of a command line.
    fn parse(shown: &str) -> Option<Self> {
        let (space, rest) = shown.strip_prefix(PREFIX)?.trim_start().split_once(' ')?;
        let (process, sandbox) = rest.rsplit_once(' ')?;
        Some(Self {
            space: space.parse().ok()?,
            platform: ProcessIdentity::parse(process)?,
            sandbox: sandbox.to_owned(),
        })
    }

    /// Whether nobody is left to end what bears the mark. Platforms of another process space are never seen.
    fn is_orphaned(&self) -> bool {
        self.space == own_space() && !self.platform.is_live()
    }

    /// Whether this process, or one that is gone, started it for `sandbox`.
    fn is_of(&self, sandbox: &str) -> bool {
        let own = || self.platform.pid == rustix::process::getpid() && self.space == own_space();
        self.sandbox == sandbox && (own() || self.is_orphaned())
    }
}

/// Live processes with a mark that `wanted` takes.
fn marked_pids(wanted: impl Fn(&StartMark) -> bool) -> Vec<Pid> {
    let is_wanted = |pid: &Pid| {
        let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
        let line = fs::read(path).unwrap_or_default();
        let shown = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let mark = std::str::from_utf8(shown).ok().and_then(StartMark::parse);
        // What is dead shows an empty command line.
        mark.is_some_and(|mark| wanted(&mark))
    };
    process_table::all_pids()
        .into_iter()
        .filter(is_wanted)
        .collect()
}

/// Processes of bubblewrap that were started for `sandbox` by this platform or one that is gone.
pub(crate) fn pids_of(sandbox: &str) -> Vec<Pid> {
    marked_pids(|mark| mark.is_of(sandbox))
}

/// Kills what platforms that are gone started, whichever data folder they had; of other users' only where this
/// process may.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel does not announce the end of processes that are nobody's children, so it is asked again"
)]
pub(crate) fn end_orphans() {
    let deadline = Instant::now() + END_WITHIN;
    let mut seen = false;
    loop {
        let mut left = marked_pids(StartMark::is_orphaned);
        left.retain(|pid| rustix::process::kill_process(*pid, Signal::KILL).is_ok());
        if left.is_empty() {
            return;
        }
        if !seen {
            info!(?left, "Ending what a platform that is gone left behind");
            seen = true;
        }
        if Instant::now() > deadline {
            warn!(?left, "Processes of a platform that is gone do not die");
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::process::Stdio;

    use super::*;
    use crate::policy::LaunchStreams;
    use crate::process::{EntryPlan, StartRequest, start_program};

    #[test]
    fn a_mark_tells_platform_and_sandbox() {
        let text = own_mark("omoi-1");
        let mark = StartMark::parse(&text).unwrap();
        assert!(mark.is_of("omoi-1") && !mark.is_of("omoi-2") && !mark.is_orphaned());
        let started = |by: &str| StartMark::parse(&text.replacen(&mark.platform.to_text(), by, 1));
        let earlier = started(&format!("{} 1", mark.platform.pid.as_raw_nonzero())).unwrap();
        assert!(earlier.is_orphaned() && earlier.is_of("omoi-1"));
        let elsewhere = StartMark {
            space: earlier.space + 1,
            ..earlier
        };
        assert!(!elsewhere.is_orphaned() && !elsewhere.is_of("omoi-1"));
        for other in ["", "bwrap", "omoi-sandbox", "omoi-sandbox 1 x 2 a"] {
            assert_eq!(StartMark::parse(other), None, "{other}");
        }
    }

    /// Not a test of its own: the platform that the test below kills. Its standard input is what bubblewrap reads
    /// once it has a first process inside and has not yet let that one go on.
    #[tokio::test]
    async fn victim() {
        let stdin = fs::read_link("/proc/self/fd/0").unwrap_or_default();
        if !stdin.ends_with("hold-users") {
            return;
        }
        let words = "--unshare-user --unshare-pid --ro-bind / / --info-fd 1 --userns-block-fd 0 -- /bin/true";
        let request = StartRequest {
            program: "/usr/bin/bwrap".into(),
            shown_as: Some(own_mark("omoi-held")),
            args: words.split(' ').map(Into::into).collect(),
            env: Vec::new(),
            streams: LaunchStreams::Inherited,
            is_follower: false,
            entry: EntryPlan {
                groups: Vec::new(),
                stage: None,
                rlimits: Vec::new(),
                uid: None,
                directory: c"/".to_owned(),
                keep: Vec::new(),
            },
        };
        let mut started = start_program(request).unwrap();
        started.child.wait().await.unwrap();
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < deadline, "waited too long until {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn nothing_waits_for_a_platform_that_was_killed_while_bubblewrap_mapped_users() {
        let dir = tempfile::tempdir().unwrap();
        let held = dir.path().join("hold-users");
        let made = std::process::Command::new("mkfifo").arg(&held).status();
        assert!(made.unwrap().success());
        // Open for writing too, so that reading waits.
        let mut options = fs::File::options();
        let stdin = options.read(true).write(true).custom_flags(libc::O_CLOEXEC);
        let mut platform = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "start_mark::tests::victim"])
            .stdin(stdin.open(&held).unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&platform);
        let of_platform = || marked_pids(|mark| mark.platform.pid == pid);
        wait_until("both processes are there", || of_platform().len() == 2);
        assert_eq!(pids_of("omoi-held"), [], "they are not this process's");
        end_orphans();
        assert_eq!(of_platform().len(), 2, "a live platform's were ended");
        platform.kill().unwrap();
        platform.wait().unwrap();
        end_orphans();
        assert_eq!(of_platform(), []);
    }
}

/// Fuzz target: command lines, which any program of the machine chooses.
#[cfg(test)]
mod fuzz {
    use omoi_testkit::fuzz::FuzzTarget;

    use super::*;

    /// What is read as a mark is the same mark once it is written again.
    #[test]
    fn command_name() {
        FuzzTarget::new(env!("CARGO_MANIFEST_DIR"), "command_name").run(|input| {
            let shown = String::from_utf8_lossy(input);
            let Some(mark) = StartMark::parse(&shown) else {
                return;
            };
            let StartMark {
                space,
                platform,
                sandbox,
            } = &mark;
            let again = format!("{PREFIX} {space} {} {sandbox}", platform.to_text());
            assert_eq!(StartMark::parse(&again), Some(mark), "{shown:?}");
        });
    }
}
