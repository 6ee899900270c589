//! Samples of a sandbox, from `/proc` and the file system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Pid, Uid};

use super::{DiskSample, TreeSample};
use crate::process_table::all_pids;
use crate::users;

/// The unit of `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// Parent, session and thread count of one process.
struct ProcessStat {
    parent: i32,
    session: i32,
    threads: u64,
}

/// The tree below `leader`, it and its session included, and everything that runs as `user`.
pub(crate) fn sample_tree(leader: Pid, user: Option<Uid>) -> TreeSample {
    let leader = leader.as_raw_nonzero().get();
    let all: BTreeMap<i32, ProcessStat> = all_pids()
        .into_iter()
        .filter_map(|pid| {
            let pid = pid.as_raw_nonzero().get();
            Some((pid, read_stat(pid)?))
        })
        .collect();
    let mut members = tree_members(&all, leader);
    let of_user = user.map(users::live_pids).unwrap_or_default();
    members.extend(of_user.iter().map(|pid| pid.as_raw_nonzero().get()));
    let mut sample = TreeSample::default();
    for pid in members {
        if let Some(process) = all.get(&pid) {
            sample.processes += process.threads;
            sample.memory_bytes += memory_bytes(pid);
        }
    }
    sample
}

fn tree_members(all: &BTreeMap<i32, ProcessStat>, leader: i32) -> BTreeSet<i32> {
    let in_session = all.iter().filter(|(_, p)| p.session == leader);
    let mut members: BTreeSet<i32> = in_session.map(|(pid, _)| *pid).collect();
    members.insert(leader);
    loop {
        let before = members.len();
        let children = all.iter().filter(|(_, p)| members.contains(&p.parent));
        let children: Vec<i32> = children.map(|(pid, _)| *pid).collect();
        members.extend(children);
        if members.len() == before {
            return members;
        }
    }
}

fn read_stat(pid: i32) -> Option<ProcessStat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets too; fields are counted after its end.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(ProcessStat {
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        threads: number(17)?,
    })
}

/// The process's share of memory where the kernel tells it, so that what forks share counts once.
fn memory_bytes(pid: i32) -> u64 {
    let kib = |text: &str, keys: &[&str]| {
        let lines = text.lines().filter_map(|line| {
            let (key, rest) = line.split_once(':')?;
            let value = rest.split_whitespace().next()?;
            keys.contains(&key).then(|| value.parse::<u64>().ok())?
        });
        lines.sum::<u64>()
    };
    let shares = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    if !shares.is_empty() {
        return kib(&shares, &["Pss_Anon", "Pss_Shmem"]) * 1_024;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    kib(&status, &["RssAnon", "RssShmem"]) * 1_024
}

/// The workspace at `dir` and scratch space on disk; what cannot be read counts nothing.
pub(crate) fn sample_disk(dir: &Path, scratch: Option<&Path>) -> Option<DiskSample> {
    let (free_bytes, disk_size) = free_disk(dir)?;
    Some(DiskSample {
        workspace_bytes: disk_usage(dir),
        scratch_bytes: scratch.map_or(0, disk_usage),
        free_bytes,
        disk_size,
    })
}

/// Free and all bytes of the file system below `dir`; none when it cannot be asked.
pub(crate) fn free_disk(dir: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some((bytes(stat.f_bavail), bytes(stat.f_blocks)))
}

/// Bytes on disk below `dir`; a file with two names counts once.
fn disk_usage(dir: &Path) -> u64 {
    let mut open = vec![dir.to_owned()];
    let (mut bytes, mut seen) = (0, BTreeSet::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                open.push(entry.path());
            }
            if found.nlink() < 2 || found.is_dir() || seen.insert((found.dev(), found.ino())) {
                bytes += found.blocks() * BLOCK_BYTES;
            }
        }
    }
    bytes
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
    fn this_process_is_seen() {
        let own = sample_tree(rustix::process::getpid(), None);
        assert!(own.processes >= 1, "{own:?}");
        assert!(own.memory_bytes > 100_000, "{own:?}");
    }

    #[test]
    fn what_left_the_tree_is_found_by_its_user() {
        let own = sample_tree(rustix::process::getpid(), None);
        // Every process of this user is in it, this test's own among them.
        let uid = rustix::process::getuid();
        let all = sample_tree(rustix::process::getpid(), Some(uid));
        assert!(users::live_pids(uid).contains(&rustix::process::getpid()));
        assert!(all.processes >= 1 && own.processes >= 1);
    }

    #[test]
    fn files_count_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        fs::write(dir.path().join("deep/a"), vec![1; 300_000]).unwrap();
        fs::hard_link(dir.path().join("deep/a"), dir.path().join("b")).unwrap();
        let seen = sample_disk(dir.path(), Some(&dir.path().join("deep"))).unwrap();
        assert!(
            (300_000..500_000).contains(&seen.workspace_bytes),
            "{seen:?}"
        );
        assert!(seen.scratch_bytes >= 300_000, "{seen:?}");
        assert!(seen.disk_size > seen.free_bytes);
    }
}
