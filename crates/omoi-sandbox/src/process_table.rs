//! The process table of the host, as `/proc` shows it.

use std::fs;

use rustix::process::Pid;

/// The processes that can be seen here.
pub(crate) fn all_pids() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|e| Pid::from_raw(e.ok()?.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// The living processes below `root`, which is not among them.
pub(crate) fn live_descendants(root: Pid) -> Vec<Pid> {
    let table: Vec<(Pid, HostProcess)> = all_pids()
        .into_iter()
        .filter_map(|pid| Some((pid, read_stat(pid)?)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|pid| pid.as_raw_nonzero().get()) {
        let children = table.iter().filter(|(_, entry)| entry.parent == parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    let is_live = |pid: &Pid| {
        table
            .iter()
            .any(|(other, entry)| other == pid && !entry.dead)
    };
    found.into_iter().skip(1).filter(is_live).collect()
}

/// The children of `pid`, oldest first.
pub(crate) fn child_pids(pid: Pid) -> Vec<Pid> {
    let parent = pid.as_raw_nonzero().get();
    let mut found: Vec<(u64, Pid)> = all_pids()
        .into_iter()
        .filter_map(|pid| {
            let stat = read_stat(pid)?;
            (stat.parent == parent).then_some((stat.started, pid))
        })
        .collect();
    found.sort_by_key(|(started, pid)| (*started, pid.as_raw_nonzero()));
    found.into_iter().map(|(_, pid)| pid).collect()
}

/// What the table says of one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostProcess {
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// When it started, in ticks of the kernel since the machine did.
    pub(crate) started: u64,
    pub(crate) dead: bool,
}

/// The entry of `pid`; none where there is no such process.
pub(crate) fn read_stat(pid: Pid) -> Option<HostProcess> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in brackets may hold anything, brackets too; fields are counted after its end.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(15)?.parse().ok()?;
    Some(HostProcess {
        parent,
        session,
        started,
        dead: matches!(state, "Z" | "X"),
    })
}
