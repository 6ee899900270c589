//! The users sandboxes run as when the platform runs as root: one per workspace, without an entry in
//! any database.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, Uid};
use tracing::trace;

use crate::pidfile;
use crate::workspace::WorkspaceError;

/// Below 65,536, so that they exist inside a container's user map too; unused by distributions.
const FIRST: u32 = 64_000;
const COUNT: u32 = 1_000;

/// Whether `uid` is one of those set aside.
fn is_sandbox_user(uid: Uid) -> bool {
    (FIRST..FIRST + COUNT).contains(&uid.as_raw())
}

/// Users in use, by workspace.
#[derive(Debug, Default)]
pub(crate) struct WorkspaceUsers(Mutex<BTreeMap<PathBuf, u32>>);

impl WorkspaceUsers {
    /// Notes that `dir`, perhaps kept from an earlier life, belongs to `uid`; false when that is not
    /// one of the users set aside.
    pub(crate) fn adopt_user(&self, dir: &Path, uid: Uid) -> bool {
        let ours = is_sandbox_user(uid);
        if ours {
            let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            users.insert(dir.into(), uid.as_raw());
        }
        ours
    }

    /// Frees the user of `dir`, unless some of its processes do not die.
    pub(crate) fn free_user(&self, dir: &Path) {
        if self.end_user(dir) {
            let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            users.remove(dir);
        }
    }

    /// Kills what still runs as the user of `dir`, for the next workspace may get that user; true when
    /// nothing is left.
    pub(crate) fn end_user(&self, dir: &Path) -> bool {
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = users.get(dir).copied();
        drop(users);
        let is_done = uid.is_none_or(|uid| kill_user(Uid::from_raw(uid)));
        if !is_done {
            tracing::warn!(uid, workspace = %dir.display(), "Processes of a workspace do not die");
        }
        is_done
    }

    /// The user of the workspace at `dir`, one that no other workspace has.
    pub(crate) fn choose_user(&self, dir: &Path) -> Result<u32, WorkspaceError> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(uid) = users.get(dir) {
            return Ok(*uid);
        }
        let mut hasher = DefaultHasher::new();
        dir.hash(&mut hasher);
        // Spread by name, so that a workspace kept from an earlier life rarely shares its user.
        let start = (hasher.finish() % u64::from(COUNT)) as u32;
        let free = (0..COUNT)
            .map(|n| FIRST + (start + n) % COUNT)
            .find(|uid| !users.values().any(|used| used == uid))
            .ok_or_else(|| WorkspaceError::NoFreeUser { path: dir.into() })?;
        users.insert(dir.into(), free);
        trace!(uid = free, workspace = %dir.display(), "Gave a workspace its own user");
        Ok(free)
    }
}

/// Processes that are not dead and have `uid` as any of their users.
pub(crate) fn live_pids(uid: Uid) -> Vec<Pid> {
    let own = uid.as_raw().to_string();
    let is_live = |pid: &Pid| {
        let path = format!("/proc/{}/status", pid.as_raw_nonzero());
        let text = fs::read_to_string(path).unwrap_or_default();
        let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        let is_dead = field("State:").is_none_or(|state| state.trim().starts_with(['Z', 'X']));
        let users = field("Uid:").unwrap_or_default();
        !is_dead && users.split_whitespace().any(|word| word == own)
    };
    pidfile::all_pids().into_iter().filter(is_live).collect()
}

/// Kills everything that runs as `uid`, one of those set aside; true when nothing is left.
///
/// Blocks until the processes are gone, at most a few seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel does not announce that a user has no process left, so it is asked again"
)]
fn kill_user(uid: Uid) -> bool {
    if !is_sandbox_user(uid) {
        return true;
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left = live_pids(uid);
        for pid in &left {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        if left.is_empty() || Instant::now() > deadline {
            return left.is_empty();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn each_workspace_has_its_own_user_until_all_are_taken() {
        let users = WorkspaceUsers::default();
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..COUNT {
            let uid = users.choose_user(Path::new(&format!("/w/{n}"))).unwrap();
            assert!(is_sandbox_user(Uid::from_raw(uid)) && seen.insert(uid));
        }
        let again = users.choose_user(Path::new("/w/7")).unwrap();
        assert!(users.choose_user(Path::new("/w/more")).is_err());
        users.free_user(Path::new("/w/7"));
        assert_eq!(users.choose_user(Path::new("/w/more")).unwrap(), again);
    }
}
