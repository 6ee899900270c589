//! Samples of a sandbox, from `/proc` and the file system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Uid};

use super::disk_usage::disk_usage;
use super::held_files::HeldFiles;
use super::{DiskSample, TreeSample};
use crate::process_table::all_pids;
use crate::users;

/// The unit of `st_blocks`.
pub(crate) const BLOCK_BYTES: u64 = 512;

/// Parent, session and thread count of one process.
struct ProcessStat {
    parent: i32,
    session: i32,
    threads: u64,
}

/// The tree below `leader`, it and its session included, and everything that runs as `user`; and what it holds.
pub(crate) fn sample_tree(leader: Pid, user: Option<Uid>) -> (TreeSample, HeldFiles) {
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
    let held = HeldFiles::of_processes(leader, &members);
    let (mut processes, mut memory) = (0, MemoryShare::default());
    for pid in members {
        if let Some(process) = all.get(&pid) {
            processes += process.threads;
            let of_process = memory_share(pid);
            memory.own_bytes += of_process.own_bytes;
            memory.shared_bytes += of_process.shared_bytes;
        }
    }
    let sample = TreeSample {
        // A file of memory that is mapped is shared memory, too, and counts once.
        memory_bytes: memory.own_bytes + memory.shared_bytes.max(held.memory_bytes),
        processes,
    };
    (sample, held)
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

/// Memory that a process has mapped.
#[derive(Clone, Copy, Debug, Default)]
struct MemoryShare {
    own_bytes: u64,
    /// Of memory that processes share.
    shared_bytes: u64,
}

/// The process's share of memory where the kernel tells it, so that what forks share counts once.
fn memory_share(pid: i32) -> MemoryShare {
    let shares = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let (text, own, shared) = match shares.is_empty() {
        false => (shares, "Pss_Anon", "Pss_Shmem"),
        true => {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            (status, "RssAnon", "RssShmem")
        }
    };
    let bytes_of = |key: &str| {
        let value = text.lines().find_map(|line| {
            let (name, rest) = line.split_once(':')?;
            (name == key).then(|| rest.split_whitespace().next())?
        });
        value
            .and_then(|kib| kib.parse::<u64>().ok())
            .unwrap_or_default()
            * 1_024
    };
    MemoryShare {
        own_bytes: bytes_of(own),
        shared_bytes: bytes_of(shared),
    }
}

/// The workspace at `dir` with what is `held` of its file system, and scratch space on disk.
pub(crate) fn sample_disk(
    dir: &Path,
    scratch: Option<&Path>,
    held: &HeldFiles,
) -> Option<DiskSample> {
    let (free_bytes, disk_size) = free_disk(dir)?;
    let workspace = disk_usage(dir);
    let scratch = scratch.map(disk_usage).unwrap_or_default();
    Some(DiskSample {
        workspace_bytes: workspace.bytes + held.unlinked_bytes(dir),
        scratch_bytes: scratch.bytes,
        hides_folder: workspace.hides_folder || scratch.hides_folder,
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
        let (own, _) = sample_tree(rustix::process::getpid(), None);
        assert!(own.processes >= 1, "{own:?}");
        assert!(own.memory_bytes > 100_000, "{own:?}");
    }

    #[test]
    fn what_left_the_tree_is_found_by_its_user() {
        let (own, _) = sample_tree(rustix::process::getpid(), None);
        // Every process of this user is in it, this test's own among them.
        let uid = rustix::process::getuid();
        let (all, _) = sample_tree(rustix::process::getpid(), Some(uid));
        assert!(users::live_pids(uid).contains(&rustix::process::getpid()));
        assert!(all.processes >= 1 && own.processes >= 1);
    }

    #[test]
    fn what_has_no_name_counts_as_the_workspace_and_scratch_space_apart() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        fs::write(dir.path().join("deep/a"), vec![1; 300_000]).unwrap();
        let sample = |held: &HeldFiles| {
            let scratch = dir.path().join("deep");
            sample_disk(dir.path(), Some(&scratch), held).unwrap()
        };
        let seen = sample(&HeldFiles::default());
        assert!(
            (300_000..500_000).contains(&seen.workspace_bytes),
            "{seen:?}"
        );
        assert!(seen.scratch_bytes >= 300_000, "{seen:?}");
        assert!(seen.disk_size > seen.free_bytes);
        let mut unlinked = tempfile::tempfile_in(dir.path()).unwrap();
        std::io::Write::write_all(&mut unlinked, &vec![1; 300_000]).unwrap();
        unlinked.sync_all().unwrap();
        let (_, held) = sample_tree(rustix::process::getpid(), None);
        let more = sample(&held).workspace_bytes - seen.workspace_bytes;
        assert!(more >= 300_000, "{more}");
    }
}
