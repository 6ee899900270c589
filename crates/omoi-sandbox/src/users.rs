//! The users sandboxes run as when the platform runs as root: one per workspace, without an entry in
//! any database.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Gid, Uid};
use tracing::trace;

use crate::workspace::{self, WorkspaceError};

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
    /// Gives the tree at `dir` to a user no other workspace has; does nothing unless root.
    pub(crate) fn prepare_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let uid = self.choose_user(dir)?;
        workspace::give_tree(dir, Uid::from_raw(uid), Gid::from_raw(uid))
    }

    /// Gives the tree at `dir` back to the platform's user; does nothing unless root.
    pub(crate) fn reclaim_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        workspace::give_tree(dir, rustix::process::geteuid(), rustix::process::getegid())?;
        self.free_user(dir);
        Ok(())
    }

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

    /// Frees the user of `dir`.
    pub(crate) fn free_user(&self, dir: &Path) {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.remove(dir);
    }

    fn choose_user(&self, dir: &Path) -> Result<u32, WorkspaceError> {
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
