//! One small file per running sandbox, from which the next start finds what a crash left behind.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, Uid};
use tracing::{debug, trace};

use omoi_domain::crash::{CrashPoint, CrashSide, pass_point};

use crate::cgroup::LimitGroup;
use crate::container::remove_container;
use crate::process_table::{all_pids, live_descendants, read_stat};
use crate::start_mark;
use crate::users::{self, WorkspaceUsers};

const SUFFIX: &str = ".sandbox";

/// A process, told apart from a later one with the same number by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessIdentity {
    pub(crate) pid: Pid,
    started: u64,
}

impl ProcessIdentity {
    /// The live process with this pid.
    pub(crate) fn of_live(pid: Pid) -> Option<Self> {
        let started = read_stat(pid)?.started;
        Some(Self { pid, started })
    }

    /// Its number and its start, as [`Self::parse`] reads them.
    pub(crate) fn to_text(self) -> String {
        format!("{} {}", self.pid.as_raw_nonzero(), self.started)
    }

    /// Reads `<number> <start>`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (pid, started) = text.split_once(' ')?;
        Some(Self {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            started: started.parse().ok()?,
        })
    }

    /// Whether it still runs.
    pub(crate) fn is_live(self) -> bool {
        read_stat(self.pid).is_some_and(|s| s.started == self.started && !s.dead)
    }
}

/// Processes and limit groups of a running sandbox, as its pidfile lists them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SandboxPidfile {
    /// The process the platform started; its pid also names its session.
    pub(crate) leader: Option<ProcessIdentity>,
    /// The first process inside, where it has a process space.
    pub(crate) init: Option<ProcessIdentity>,
    /// Folders of its limit groups.
    pub(crate) groups: Vec<PathBuf>,
    /// The user of its workspace, where its processes have no space of their own to be found by.
    pub(crate) user: Option<Uid>,
    /// Socket of the engine that keeps it, where it is a container.
    pub(crate) engine: Option<PathBuf>,
}

impl SandboxPidfile {
    fn to_text(&self) -> String {
        let processes = [("leader", self.leader), ("init", self.init)];
        let processes = processes
            .into_iter()
            .filter_map(|(key, process)| Some(format!("{key} {}\n", process?.to_text())));
        let groups = self.groups.iter();
        let user = self.user.map(|uid| format!("user {}\n", uid.as_raw()));
        let engine = self.engine.iter();
        let engine = engine.map(|socket| format!("engine {}\n", socket.display()));
        processes
            .chain(user)
            .chain(engine)
            .chain(groups.map(|dir| format!("group {}\n", dir.display())))
            .collect()
    }

    fn parse(text: &str) -> Self {
        let process = ProcessIdentity::parse;
        let mut pidfile = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("leader", rest)) => pidfile.leader = process(rest),
                Some(("init", rest)) => pidfile.init = process(rest),
                Some(("user", rest)) => pidfile.user = rest.parse().ok().map(Uid::from_raw),
                Some(("engine", rest)) => pidfile.engine = Some(rest.into()),
                Some(("group", rest)) => pidfile.groups.push(rest.into()),
                _ => {}
            }
        }
        pidfile
    }
}

/// Claims `name`; fails with `AlreadyExists` while another sandbox has it.
pub(crate) fn claim_name(dir: &Path, name: &str) -> io::Result<()> {
    pass_point(CrashPoint::FileReplaced, CrashSide::Before);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(pidfile_path(dir, name))?;
    pass_point(CrashPoint::FileReplaced, CrashSide::After);
    Ok(())
}

/// Writes the pidfile of sandbox `name` anew, in one step.
pub(crate) fn write_pidfile(dir: &Path, name: &str, pidfile: &SandboxPidfile) -> io::Result<()> {
    let path = pidfile_path(dir, name);
    let fresh = path.with_extension("new");
    pass_point(CrashPoint::FileReplaced, CrashSide::Before);
    let mut file = fs::File::create(&fresh)?;
    file.write_all(pidfile.to_text().as_bytes())?;
    fs::rename(&fresh, &path)?;
    pass_point(CrashPoint::FileReplaced, CrashSide::After);
    Ok(())
}

/// Gives `name` back, and removes its scratch folder.
pub(crate) fn release_name(dir: &Path, name: &str) {
    if let Err(error) = crate::workspace::remove_tree(&scratch_dir(dir, name)) {
        tracing::warn!(sandbox = name, %error, "Could not remove the scratch folder of `{name}`");
    }
    let _ = fs::remove_file(pidfile_path(dir, name));
}

/// Where a sandbox without a file system of its own keeps its home and generated files.
pub(crate) fn scratch_dir(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.scratch"))
}

/// Names of the sandboxes that have a pidfile in `dir`, sorted.
pub(crate) fn recorded_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        if let Some(name) = entry?
            .file_name()
            .to_str()
            .and_then(|n| n.strip_suffix(SUFFIX))
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Kills the remaining processes of sandbox `name`, removes its container, and removes its pidfile; false when it
/// has none. The pidfile stays while the engine does not remove the container, so that the next start tries again.
///
/// Blocks until the processes are gone, at most a few seconds, and while the engine answers.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel announces neither a session's nor a limit group's end, so it is asked again"
)]
pub(crate) fn destroy_leftovers(
    dir: &Path,
    name: &str,
    users: &WorkspaceUsers,
) -> io::Result<bool> {
    let text = match fs::read_to_string(pidfile_path(dir, name)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let pidfile = SandboxPidfile::parse(&text);
    let removed = pidfile.engine.as_deref();
    let removed = removed.map_or(Ok(()), |socket| remove_container(socket, name));
    let group = LimitGroup::from_dirs(pidfile.groups.iter().cloned());
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut left = live_leftovers(&pidfile);
        // What was started and not recorded yet.
        left.extend(start_mark::pids_of(name));
        if let Some(uid) = pidfile.user {
            // Looked for before the others are asked: a sandbox is recorded before it runs.
            let of_user = users::live_pids(uid);
            if !has_other_of(dir, name, uid)? && users.may_end(uid) {
                left.extend(of_user);
            }
        }
        for pid in &left {
            trace!(sandbox = name, ?pid, "Killing what sandbox `{name}` left");
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        group.kill_members();
        if left.is_empty() && group.remove_groups() {
            removed?;
            debug!(sandbox = name, "Cleared up what sandbox `{name}` left");
            release_name(dir, name);
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{} processes do not die", left.len()),
            ));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether another sandbox runs as the same user, over the same workspace.
fn has_other_of(dir: &Path, name: &str, uid: Uid) -> io::Result<bool> {
    let names = recorded_names(dir)?;
    Ok(names.iter().filter(|other| *other != name).any(|other| {
        let text = fs::read_to_string(pidfile_path(dir, other)).unwrap_or_default();
        SandboxPidfile::parse(&text).user == Some(uid)
    }))
}

/// Live processes of the pidfile: its leader, its first inner process, and its session's members.
fn live_leftovers(pidfile: &SandboxPidfile) -> Vec<Pid> {
    let mut left: Vec<Pid> = [pidfile.leader, pidfile.init]
        .into_iter()
        .flatten()
        .filter(|p| p.is_live())
        .map(|p| p.pid)
        .collect();
    let Some(leader) = pidfile.leader else {
        return left;
    };
    if pidfile.init.is_none() && leader.is_live() {
        // What is below a leader is known by it alone, so it goes last.
        let below = live_descendants(leader.pid);
        if !below.is_empty() {
            return below;
        }
    }
    // A session outlives its leader and keeps its number taken. A live process with that number but
    // another start time means the session ended and the number went to somebody else.
    if read_stat(leader.pid).is_some_and(|s| s.started != leader.started) {
        return left;
    }
    for pid in all_pids() {
        if read_stat(pid).is_some_and(|s| s.session == leader.pid.as_raw_nonzero().get() && !s.dead)
        {
            left.push(pid);
        }
    }
    left
}

fn pidfile_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}{SUFFIX}"))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use super::*;
    use crate::users::USER_LOCKS;

    #[test]
    fn names_are_exclusive_and_survive_a_restart() {
        let users = WorkspaceUsers::new(Path::new(USER_LOCKS));
        let dir = tempfile::tempdir().unwrap();
        claim_name(dir.path(), "omoi-1").unwrap();
        let taken = claim_name(dir.path(), "omoi-1").unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        let own = ProcessIdentity::of_live(rustix::process::getpid()).unwrap();
        let pidfile = SandboxPidfile {
            leader: None,
            init: Some(own),
            groups: vec!["/sys/a b".into()],
            user: None,
            engine: Some("/run/an engine.sock".into()),
        };
        write_pidfile(dir.path(), "omoi-1", &pidfile).unwrap();
        assert_eq!(recorded_names(dir.path()).unwrap(), ["omoi-1"]);
        let text = fs::read_to_string(pidfile_path(dir.path(), "omoi-1")).unwrap();
        assert_eq!(SandboxPidfile::parse(&text), pidfile);
        let of_user = SandboxPidfile {
            user: Some(Uid::from_raw(64_001)),
            ..SandboxPidfile::default()
        };
        assert_eq!(SandboxPidfile::parse(&of_user.to_text()), of_user);
        release_name(dir.path(), "omoi-1");
        assert!(!destroy_leftovers(dir.path(), "omoi-1", &users).unwrap());
    }

    /// Whichever rung the next start has: the pidfile names the engine.
    #[test]
    fn a_container_is_not_forgotten_before_its_engine_removed_it() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        claim_name(dir.path(), "omoi-3").unwrap();
        let pidfile = SandboxPidfile {
            engine: Some(socket.clone()),
            ..SandboxPidfile::default()
        };
        write_pidfile(dir.path(), "omoi-3", &pidfile).unwrap();
        let users = WorkspaceUsers::new(Path::new(USER_LOCKS));
        destroy_leftovers(dir.path(), "omoi-3", &users).unwrap_err();
        assert_eq!(recorded_names(dir.path()).unwrap(), ["omoi-3"]);

        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let engine = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                io::Read::read_exact(&mut stream, &mut byte).unwrap();
                head.extend(byte);
            }
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .unwrap();
            String::from_utf8(head).unwrap()
        });
        assert!(destroy_leftovers(dir.path(), "omoi-3", &users).unwrap());
        let asked = engine.join().unwrap();
        assert!(
            asked.starts_with("DELETE /containers/omoi-3?force=true"),
            "{asked}"
        );
        assert!(recorded_names(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn a_reused_pid_is_left_alone() {
        let users = WorkspaceUsers::new(Path::new(USER_LOCKS));
        let dir = tempfile::tempdir().unwrap();
        let own = ProcessIdentity::of_live(rustix::process::getpid()).unwrap();
        let stranger = ProcessIdentity {
            started: own.started - 1,
            ..own
        };
        claim_name(dir.path(), "omoi-2").unwrap();
        let pidfile = SandboxPidfile {
            leader: Some(stranger),
            init: Some(stranger),
            ..SandboxPidfile::default()
        };
        write_pidfile(dir.path(), "omoi-2", &pidfile).unwrap();
        // Were the start time not compared, this would kill the test itself.
        assert!(destroy_leftovers(dir.path(), "omoi-2", &users).unwrap());
    }
}
