//! One small file per running sandbox, so that whoever comes after a crash finds what is left of it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use omoi_domain::crash::{CrashPoint, Side, pass};
use rustix::process::{Pid, Signal};

use crate::cgroup::Group;

const SUFFIX: &str = ".sandbox";

/// A process, told apart from a later one with the same number by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    started: u64,
}

impl Process {
    /// The live process with this pid.
    pub(crate) fn live(pid: Pid) -> Option<Self> {
        let started = stat(pid)?.started;
        Some(Self { pid, started })
    }

    /// Whether it still runs.
    pub(crate) fn is_live(self) -> bool {
        stat(self.pid).is_some_and(|s| s.started == self.started && !s.dead)
    }
}

/// What is known of a running sandbox.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Marker {
    /// The process the platform started; its pid also names its session.
    pub(crate) leader: Option<Process>,
    /// The first process inside, where it has a process space.
    pub(crate) init: Option<Process>,
    /// Limit groups.
    pub(crate) groups: Vec<PathBuf>,
}

impl Marker {
    fn to_text(&self) -> String {
        let processes = [("leader", self.leader), ("init", self.init)];
        let processes = processes.into_iter().filter_map(|(key, process)| {
            let Process { pid, started } = process?;
            Some(format!("{key} {} {started}\n", pid.as_raw_nonzero()))
        });
        let groups = self.groups.iter();
        processes
            .chain(groups.map(|dir| format!("group {}\n", dir.display())))
            .collect()
    }

    fn parse(text: &str) -> Self {
        let process = |rest: &str| {
            let (pid, started) = rest.split_once(' ')?;
            Some(Process {
                pid: Pid::from_raw(pid.parse().ok()?)?,
                started: started.parse().ok()?,
            })
        };
        let mut marker = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("leader", rest)) => marker.leader = process(rest),
                Some(("init", rest)) => marker.init = process(rest),
                Some(("group", rest)) => marker.groups.push(rest.into()),
                _ => {}
            }
        }
        marker
    }
}

/// Claims `name`; fails with `AlreadyExists` while another sandbox has it.
pub(crate) fn claim(dir: &Path, name: &str) -> io::Result<()> {
    pass(CrashPoint::FileReplaced, Side::Before);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path(dir, name))?;
    pass(CrashPoint::FileReplaced, Side::After);
    Ok(())
}

/// Records what is known by now.
pub(crate) fn record(dir: &Path, name: &str, marker: &Marker) -> io::Result<()> {
    let path = path(dir, name);
    let fresh = path.with_extension("new");
    pass(CrashPoint::FileReplaced, Side::Before);
    let mut file = fs::File::create(&fresh)?;
    file.write_all(marker.to_text().as_bytes())?;
    fs::rename(&fresh, &path)?;
    pass(CrashPoint::FileReplaced, Side::After);
    Ok(())
}

/// Gives `name` back, and removes its scratch folder.
pub(crate) fn release(dir: &Path, name: &str) {
    if let Err(error) = crate::workspace::remove(&scratch(dir, name)) {
        tracing::warn!(sandbox = name, %error, "Could not remove the scratch folder of `{name}`");
    }
    let _ = fs::remove_file(path(dir, name));
}

/// Where a sandbox without a file system of its own keeps its home and generated files.
pub(crate) fn scratch(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.scratch"))
}

/// Every recorded name.
pub(crate) fn names(dir: &Path) -> io::Result<Vec<String>> {
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

/// Kills whatever is left of the sandbox called `name` and forgets it; true when it was known.
///
/// Blocks until the processes are gone, at most a few seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel announces neither a session's nor a limit group's end, so it is asked again"
)]
pub(crate) fn destroy(dir: &Path, name: &str) -> io::Result<bool> {
    let text = match fs::read_to_string(path(dir, name)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let marker = Marker::parse(&text);
    let group = Group::from_dirs(marker.groups.iter().cloned());
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left = leftovers(&marker);
        for pid in &left {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        group.kill();
        if left.is_empty() && group.remove() {
            release(dir, name);
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

/// Live processes of the marker: its leader, its first inner process, and its session's members.
fn leftovers(marker: &Marker) -> Vec<Pid> {
    let mut left: Vec<Pid> = [marker.leader, marker.init]
        .into_iter()
        .flatten()
        .filter(|p| p.is_live())
        .map(|p| p.pid)
        .collect();
    let Some(leader) = marker.leader else {
        return left;
    };
    // A session outlives its leader and keeps its number taken. A live process with that number but
    // another start time means the session ended and the number went to somebody else.
    if stat(leader.pid).is_some_and(|s| s.started != leader.started) {
        return left;
    }
    for pid in all_pids() {
        if stat(pid).is_some_and(|s| s.session == leader.pid.as_raw_nonzero().get() && !s.dead) {
            left.push(pid);
        }
    }
    left
}

pub(crate) fn all_pids() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|e| Pid::from_raw(e.ok()?.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// The children of `pid`, oldest first.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let parent = pid.as_raw_nonzero().get();
    let mut found: Vec<(u64, Pid)> = all_pids()
        .into_iter()
        .filter_map(|pid| {
            let stat = stat(pid)?;
            (stat.parent == parent).then_some((stat.started, pid))
        })
        .collect();
    found.sort_by_key(|(started, pid)| (*started, pid.as_raw_nonzero()));
    found.into_iter().map(|(_, pid)| pid).collect()
}

struct Stat {
    parent: i32,
    session: i32,
    started: u64,
    dead: bool,
}

fn stat(pid: Pid) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in brackets may hold anything, brackets too; fields are counted after its end.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(15)?.parse().ok()?;
    Some(Stat {
        parent,
        session,
        started,
        dead: matches!(state, "Z" | "X"),
    })
}

fn path(dir: &Path, name: &str) -> PathBuf {
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

    #[test]
    fn names_are_exclusive_and_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        claim(dir.path(), "omoi-1").unwrap();
        let taken = claim(dir.path(), "omoi-1").unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        let own = Process::live(rustix::process::getpid()).unwrap();
        let marker = Marker {
            leader: None,
            init: Some(own),
            groups: vec!["/sys/a b".into()],
        };
        record(dir.path(), "omoi-1", &marker).unwrap();
        assert_eq!(names(dir.path()).unwrap(), ["omoi-1"]);
        let text = fs::read_to_string(path(dir.path(), "omoi-1")).unwrap();
        assert_eq!(Marker::parse(&text), marker);
        release(dir.path(), "omoi-1");
        assert!(!destroy(dir.path(), "omoi-1").unwrap());
    }

    #[test]
    fn a_reused_pid_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let own = Process::live(rustix::process::getpid()).unwrap();
        let stranger = Process {
            started: own.started - 1,
            ..own
        };
        claim(dir.path(), "omoi-2").unwrap();
        let marker = Marker {
            leader: Some(stranger),
            init: Some(stranger),
            groups: Vec::new(),
        };
        record(dir.path(), "omoi-2", &marker).unwrap();
        // Were the start time not compared, this would kill the test itself.
        assert!(destroy(dir.path(), "omoi-2").unwrap());
    }
}
