//! The users sandboxes run as when the platform runs as root: one per workspace, without an entry in
//! any database. A lock file per user keeps the platforms of one machine from sharing one, because the
//! end of a workspace kills every process of its user.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, Uid};
use tracing::{info, trace, warn};

use crate::process_table;
use crate::workspace::WorkspaceError;

/// Below 65,536, so that they exist inside a container's user map too; unused by distributions.
const FIRST: u32 = 64_000;
const COUNT: u32 = 1_000;
/// Folder of the lock files, the same for every platform of the machine.
pub(crate) const USER_LOCKS: &str = "/run/omoios/sandbox-users";

/// Whether `uid` is one of those set aside.
fn is_sandbox_user(uid: Uid) -> bool {
    (FIRST..FIRST + COUNT).contains(&uid.as_raw())
}

/// A user that no other platform of this machine gives to a workspace while this value lives.
#[derive(Debug)]
struct ClaimedUser {
    uid: u32,
    /// Its lock ends with the file, also when the platform is killed.
    _lock: File,
}

/// Users in use by this platform, by workspace.
#[derive(Debug)]
pub(crate) struct WorkspaceUsers {
    locks: PathBuf,
    claimed: Mutex<BTreeMap<PathBuf, ClaimedUser>>,
}

impl WorkspaceUsers {
    /// Nobody yet; users are claimed by locks in the folder `locks`.
    pub(crate) fn new(locks: &Path) -> Self {
        Self {
            locks: locks.to_path_buf(),
            claimed: Mutex::default(),
        }
    }

    /// Notes that `dir`, perhaps kept from an earlier life, belongs to `uid`; false when that is not
    /// one of the users set aside, or another platform has it.
    pub(crate) fn adopt_user(&self, dir: &Path, uid: Uid) -> bool {
        let mut claimed = self.lock_claimed();
        let uid = uid.as_raw();
        if claimed.get(dir).is_some_and(|user| user.uid == uid) {
            return true;
        }
        if !is_sandbox_user(Uid::from_raw(uid)) {
            return false;
        }
        match claim_user(&self.locks, uid) {
            Ok(Some(user)) => {
                claimed.insert(dir.into(), user);
                true
            }
            Ok(None) => false,
            Err(error) => {
                warn!(uid, workspace = %dir.display(), %error, "Could not claim the user of a workspace");
                false
            }
        }
    }

    /// Frees the user of `dir`, unless some of its processes do not die.
    pub(crate) fn free_user(&self, dir: &Path) {
        if self.end_user(dir) {
            self.lock_claimed().remove(dir);
        }
    }

    /// Kills what still runs as the user of `dir`, for the next workspace may get that user; true when
    /// nothing is left.
    pub(crate) fn end_user(&self, dir: &Path) -> bool {
        let uid = self.lock_claimed().get(dir).map(|user| user.uid);
        let is_done = uid.is_none_or(|uid| kill_user(Uid::from_raw(uid)));
        if !is_done {
            warn!(uid, workspace = %dir.display(), "Processes of a workspace do not die");
        }
        is_done
    }

    /// Whether the processes of `uid` are this platform's to end: no other platform has claimed the user.
    pub(crate) fn may_end(&self, uid: Uid) -> bool {
        let uid = uid.as_raw();
        let is_own = self.lock_claimed().values().any(|user| user.uid == uid);
        is_own || matches!(claim_user(&self.locks, uid), Ok(Some(_)))
    }

    /// Kills what runs as a user that a platform of this machine claimed once and none claims now: that platform is
    /// gone, and nobody else will end its processes. Does nothing unless root, who alone gives users.
    pub(crate) fn end_unclaimed(&self) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let users: BTreeSet<u32> = process_table::all_pids()
            .into_iter()
            .flat_map(live_users)
            .collect();
        let set_aside = |uid: &u32| is_sandbox_user(Uid::from_raw(*uid));
        for uid in users.into_iter().filter(set_aside) {
            // A user without a lock file was given by somebody else.
            if !self.locks.join(uid.to_string()).exists() {
                continue;
            }
            if let Ok(Some(claimed)) = claim_user(&self.locks, uid) {
                info!(uid, "Ending processes of a platform that is gone");
                if !kill_user(Uid::from_raw(claimed.uid)) {
                    warn!(uid, "Processes of a platform that is gone do not die");
                }
            }
        }
    }

    /// The user of the workspace at `dir`, one that no other workspace has.
    pub(crate) fn choose_user(&self, dir: &Path) -> Result<u32, WorkspaceError> {
        let mut claimed = self.lock_claimed();
        if let Some(user) = claimed.get(dir) {
            return Ok(user.uid);
        }
        let mut hasher = DefaultHasher::new();
        dir.hash(&mut hasher);
        // Spread by name, so that a workspace kept from an earlier life rarely shares its user.
        let start = (hasher.finish() % u64::from(COUNT)) as u32;
        for n in 0..COUNT {
            let uid = FIRST + (start + n) % COUNT;
            let user = claim_user(&self.locks, uid).map_err(|source| WorkspaceError::Path {
                action: "claim a user id in",
                path: self.locks.clone(),
                source,
            })?;
            // Processes of a platform that was killed may still run as a user that nobody claims.
            let is_free = |_: &ClaimedUser| live_pids(Uid::from_raw(uid)).is_empty();
            if let Some(user) = user.filter(is_free) {
                claimed.insert(dir.into(), user);
                trace!(uid, workspace = %dir.display(), "Gave a workspace its own user");
                return Ok(uid);
            }
        }
        Err(WorkspaceError::NoFreeUser { path: dir.into() })
    }

    fn lock_claimed(&self) -> MutexGuard<'_, BTreeMap<PathBuf, ClaimedUser>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locks the file of `uid` in `locks`; none while another holds it.
fn claim_user(locks: &Path, uid: u32) -> io::Result<Option<ClaimedUser>> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(locks)?;
    let lock = File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(locks.join(uid.to_string()))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(ClaimedUser { uid, _lock: lock })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Processes that are not dead and have `uid` as any of their users.
pub(crate) fn live_pids(uid: Uid) -> Vec<Pid> {
    let is_own = |pid: &Pid| live_users(*pid).contains(&uid.as_raw());
    process_table::all_pids()
        .into_iter()
        .filter(is_own)
        .collect()
}

/// The users of process `pid`: real, effective, saved and of files; none once it is dead.
fn live_users(pid: Pid) -> Vec<u32> {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let text = fs::read_to_string(path).unwrap_or_default();
    let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    if field("State:").is_none_or(|state| state.trim().starts_with(['Z', 'X'])) {
        return Vec::new();
    }
    let users = field("Uid:").unwrap_or_default().split_whitespace();
    users.filter_map(|word| word.parse().ok()).collect()
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
        let locks = tempfile::tempdir().unwrap();
        let users = WorkspaceUsers::new(locks.path());
        let mut seen = std::collections::BTreeSet::new();
        let choose = |n| users.choose_user(Path::new(&format!("/w/{n}")));
        while let Ok(uid) = choose(seen.len()) {
            assert!(is_sandbox_user(Uid::from_raw(uid)) && seen.insert(uid));
        }
        // Some may be those of sandboxes that other tests run at this moment.
        assert!(seen.len() > COUNT as usize - 50, "{}", seen.len());
        let again = users.choose_user(Path::new("/w/7")).unwrap();
        assert!(users.choose_user(Path::new("/w/more")).is_err());
        users.free_user(Path::new("/w/7"));
        assert_eq!(users.choose_user(Path::new("/w/more")).unwrap(), again);
    }

    /// The end of a workspace kills all processes of its user, so a shared user would end another
    /// platform's agent.
    #[test]
    fn two_platforms_never_give_one_user_to_two_workspaces() {
        let locks = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| WorkspaceUsers::new(locks.path()));
        let workspace = Path::new("/w/same");
        let first = one.choose_user(workspace).unwrap();
        let second = other.choose_user(workspace).unwrap();
        assert_ne!(first, second);
        let (first, second) = (Uid::from_raw(first), Uid::from_raw(second));
        assert!(one.may_end(first) && !one.may_end(second));
        assert!(one.adopt_user(workspace, first));
        assert!(!other.adopt_user(Path::new("/w/kept"), first));
        drop(one);
        assert!(other.may_end(first) && other.adopt_user(Path::new("/w/kept"), first));
    }

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "a program of the user, started by the test alone"
    )]
    fn what_a_platform_that_is_gone_left_is_ended() {
        use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let locks = tempfile::tempdir().unwrap();
        // Other tests start platforms too, which must not end the program.
        let held = WorkspaceUsers::new(Path::new(USER_LOCKS));
        let uid = held.choose_user(locks.path()).unwrap();
        let mut left = std::process::Command::new("/bin/sleep");
        let mut left = left.arg("60").uid(uid).gid(uid).spawn().unwrap();
        let start = || WorkspaceUsers::new(locks.path()).end_unclaimed();
        start();
        assert!(left.try_wait().unwrap().is_none(), "nobody here claimed it");
        let claimed = claim_user(locks.path(), uid).unwrap().unwrap();
        start();
        assert!(left.try_wait().unwrap().is_none(), "its platform lives");
        drop(claimed);
        start();
        let end = left.wait().unwrap();
        assert_eq!(end.signal(), Some(Signal::KILL.as_raw()));
    }
}
