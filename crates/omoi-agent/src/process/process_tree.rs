//! What the programs of a worker have started, wherever it went.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid,
};
use tokio::signal::unix::{SignalKind, signal};

use omoi_runtime::clock::{Clock, Clocked};

/// Passes over the process table; a program that forks while it is ended needs more than one.
const PASSES_MAX: u32 = 100;
/// Listings of the table for one pass, on a machine where processes begin all the time.
const LISTINGS_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);
/// How long an ended child is left to whoever started it; what was adopted has nobody.
const OWNER_TIME: Duration = Duration::from_secs(1);

/// One process of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcessEntry {
    pid: i32,
    parent: i32,
    is_dead: bool,
}

/// Makes this process the parent of what its children leave behind.
pub(super) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Reaps the children that were adopted and have ended, for as long as it is polled: they count for the
/// sandbox's limit of processes.
pub(super) async fn reap_adopted(clock: Clocked) {
    let Ok(mut ended) = signal(SignalKind::child()) else {
        return;
    };
    while ended.recv().await.is_some() {
        let before = dead_children(getpid().as_raw_pid(), &read_table());
        if before.is_empty() {
            continue;
        }
        clock.sleep(OWNER_TIME).await;
        let still = dead_children(getpid().as_raw_pid(), &read_table());
        let left = still.into_iter().filter(|pid| before.contains(pid));
        for pid in left.filter_map(Pid::from_raw) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// The children of `parent` that have ended and were not reaped.
fn dead_children(parent: i32, table: &[ProcessEntry]) -> Vec<i32> {
    let dead = table
        .iter()
        .filter(|entry| entry.parent == parent && entry.is_dead);
    dead.map(|entry| entry.pid).collect()
}

/// Kills everything below this process; whether all of it is gone.
pub(super) async fn end_descendants(clock: &dyn Clock) -> bool {
    for _ in 0..PASSES_MAX {
        let left = descendants_of(getpid().as_raw_pid(), &read_table());
        if left.is_empty() {
            return true;
        }
        for pid in left.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        clock.sleep(PAUSE).await;
    }
    false
}

/// The living processes below `root`.
fn descendants_of(root: i32, table: &[ProcessEntry]) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        let children = table.iter().filter(|entry| entry.parent == parent);
        found.extend(children.map(|entry| entry.pid));
        next += 1;
    }
    let is_alive = |pid: &i32| {
        table
            .iter()
            .any(|entry| entry.pid == *pid && !entry.is_dead)
    };
    found.into_iter().skip(1).filter(is_alive).collect()
}

/// All processes. One that begins while the others are read is read too: else a program that starts another one and
/// ends at once, again and again, would not be seen.
fn read_table() -> Vec<ProcessEntry> {
    let mut table = BTreeMap::new();
    let mut listed = BTreeSet::new();
    for _ in 0..LISTINGS_MAX {
        let found = list_processes();
        let new: Vec<i32> = found
            .into_iter()
            .filter(|pid| listed.insert(*pid))
            .collect();
        if new.is_empty() {
            break;
        }
        table.extend(new.into_iter().filter_map(read_process));
        // A parent that was gone before it was read has left its children to another.
        let is_orphan = |entry: &&ProcessEntry| !table.contains_key(&entry.parent);
        let orphans: Vec<i32> = table.values().filter(is_orphan).map(|e| e.pid).collect();
        table.extend(orphans.into_iter().filter_map(read_process));
    }
    table.into_values().collect()
}

fn list_processes() -> Vec<i32> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    pids.collect()
}

fn read_process(pid: i32) -> Option<(i32, ProcessEntry)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some((pid, read_stat(pid, &stat)?))
}

/// A name may hold blanks and brackets; what follows its last bracket is state and parent.
fn read_stat(pid: i32, stat: &str) -> Option<ProcessEntry> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    Some(ProcessEntry {
        pid,
        parent: fields.next()?.parse().ok()?,
        is_dead: matches!(state, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_at_any_depth() {
        let entry = |pid, parent, is_dead| ProcessEntry {
            pid,
            parent,
            is_dead,
        };
        let table = [
            entry(1, 0, false),
            entry(10, 1, false),
            entry(11, 10, true),
            entry(12, 11, false),
            entry(13, 1, false),
        ];
        assert_eq!(descendants_of(10, &table), [12]);
        assert_eq!(descendants_of(1, &table), [10, 13, 12]);
        assert!(descendants_of(12, &table).is_empty());
        assert_eq!(dead_children(10, &table), [11]);
    }

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let found = read_stat(7, "7 (a) R 1 (b) S 5 7 7 0 -1 4194560");
        let want = ProcessEntry {
            pid: 7,
            parent: 5,
            is_dead: false,
        };
        assert_eq!(found, Some(want));
        assert_eq!(read_stat(7, "7 (cut"), None);
    }
}
