//! State that all rungs share: sandbox names, threads, limit groups, process limits, the default environment.

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use rustix::process::{Gid, Resource, Uid};
use tracing::trace;

use crate::cgroup::{CgroupController, HostCgroups, LimitGroup};
use crate::child::MountStage;
use crate::overlay::{MountTableHold, OverlayRefusal, Overlays};
use crate::pidfile;
use crate::policy::{SandboxLaunch, SandboxLimits};
use crate::process::JobThread;
use crate::provider::LaunchError;
use crate::remains::{LiveNames, SandboxRemains};
use crate::start_mark;
use crate::users::{USER_LOCKS, WorkspaceUsers};
use crate::workspace::{self, TreeOwner, WorkspaceError};

/// Shared state of the rungs of one platform process.
#[derive(Clone, Debug)]
pub(crate) struct RungBase {
    pub(crate) state_dir: PathBuf,
    pub(crate) hidden: Arc<Vec<PathBuf>>,
    pub(crate) cgroups: Arc<HostCgroups>,
    pub(crate) users: Arc<WorkspaceUsers>,
    pub(crate) overlays: Arc<Overlays>,
    pub(crate) spawner: JobThread,
    reaper: JobThread,
    live: LiveNames,
}

impl RungBase {
    /// Opens the private folder `state_dir`, making it where missing, and ends what platforms that are gone left.
    pub(crate) fn open(state_dir: &Path, hidden: &[PathBuf]) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_dir)?;
        fs::set_permissions(state_dir, fs::Permissions::from_mode(0o700))?;
        let canonical = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let state_dir = fs::canonicalize(state_dir)?;
        let mut hidden: Vec<PathBuf> = hidden.iter().map(canonical).collect();
        hidden.push(state_dir.clone());
        let users = WorkspaceUsers::new(Path::new(USER_LOCKS));
        start_mark::end_orphans();
        users.end_unclaimed();
        Ok(Self {
            state_dir,
            hidden: Arc::new(hidden),
            cgroups: Arc::new(HostCgroups::discover_parents()),
            users: Arc::new(users),
            overlays: Arc::default(),
            spawner: JobThread::start_thread("sandbox-spawn")?,
            reaper: JobThread::start_thread("sandbox-reap")?,
            live: Arc::new(Mutex::new(BTreeSet::new())),
        })
    }

    /// Claims the launch's name and makes its limit groups.
    pub(crate) fn claim_name(&self, launch: &SandboxLaunch) -> Result<SandboxRemains, LaunchError> {
        let mut remains = self.claim_without_groups(launch)?;
        remains.group = self
            .cgroups
            .create_group(&launch.name, &launch.limits)
            .map_err(LaunchError::Limits)?;
        let groups = remains.group.group_dirs().count();
        trace!(
            sandbox = launch.name,
            groups, "Claimed the name `{}`", launch.name
        );
        Ok(remains)
    }

    /// Claims the launch's name, for a sandbox whose limits somebody else sets.
    pub(crate) fn claim_without_groups(
        &self,
        launch: &SandboxLaunch,
    ) -> Result<SandboxRemains, LaunchError> {
        let name = launch.name.clone();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
            return Err(LaunchError::Name { name });
        }
        if launch.argv.is_empty() {
            return Err(LaunchError::NoProgram);
        }
        pidfile::claim_name(&self.state_dir, &name).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => LaunchError::NameTaken { name: name.clone() },
            _ => LaunchError::Record {
                name: name.clone(),
                source,
            },
        })?;
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone());
        Ok(SandboxRemains {
            name,
            state_dir: self.state_dir.clone(),
            group: LimitGroup::from_dirs([]),
            control: None,
            live: Arc::clone(&self.live),
            reaper: self.reaper.clone(),
            spawner: self.spawner.clone(),
            users: Arc::clone(&self.users),
            cleared: false,
        })
    }

    /// The user to become: the workspace's owner when started as root, nobody else otherwise.
    pub(crate) fn sandbox_user(&self, workspace: &Path) -> Result<Option<Uid>, LaunchError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let (uid, _) = workspace::path_owner(workspace).map_err(|source| LaunchError::Source {
            path: workspace.into(),
            source,
        })?;
        if !self.users.adopt_user(workspace, uid) {
            return Err(LaunchError::NotPrepared {
                path: workspace.into(),
            });
        }
        Ok(Some(uid))
    }

    /// Lays the empty folder `dir` over `lowers`, for a user of its own.
    pub(crate) fn lay_workspace(&self, dir: &Path, lowers: &[&Path]) -> Result<(), OverlayRefusal> {
        check_overlay_support()?;
        let user = self.users.choose_user(dir);
        let user = user.map_err(|error| OverlayRefusal::System {
            step: "find a user",
            source: io::Error::other(error),
        })?;
        self.overlays.lay_over(dir, lowers, Uid::from_raw(user))
    }

    /// Gives the workspace at `dir` to a user no other workspace has; does nothing unless root.
    pub(crate) fn prepare_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let user = self.users.choose_user(dir)?;
        let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
        let upper = self.overlays.upper_of(dir);
        workspace::give_listed(dir, upper.as_deref(), TreeOwner { uid, gid })
    }

    /// Where the workspace at `dir` keeps what changes, if it lies over folders.
    pub(crate) fn changed_files(&self, dir: &Path) -> Option<Arc<OwnedFd>> {
        self.overlays.upper_of(dir)
    }

    /// Removes a workspace and frees its user.
    pub(crate) fn remove_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        self.users.end_user(dir);
        let unmounted = self.overlays.unmount_workspace(dir);
        unmounted.map_err(|source| WorkspaceError::Path {
            action: "unmount",
            path: dir.into(),
            source,
        })?;
        workspace::remove_tree(dir)?;
        trace!(workspace = %dir.display(), "Removed a workspace");
        self.users.free_user(dir);
        Ok(())
    }

    /// Has a private mount space leave out the workspaces beside `workspace`. To be held until the space is made.
    pub(crate) fn leave_others_out(
        &self,
        stage: &mut Option<MountStage>,
        workspace: &Path,
    ) -> Result<Option<MountTableHold<'_>>, LaunchError> {
        let Some(stage) = stage else {
            return Ok(None);
        };
        let hold = self.overlays.hold_mounts(workspace);
        for dir in &hold.beside {
            let dir =
                CString::new(dir.as_os_str().as_bytes()).map_err(|_| LaunchError::ZeroByte)?;
            stage.leave_out(dir);
        }
        Ok(Some(hold))
    }

    /// Recorded names that this process does not run.
    pub(crate) fn orphan_names(&self) -> io::Result<Vec<String>> {
        let mut names = pidfile::recorded_names(&self.state_dir)?;
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|name| !live.contains(name));
        Ok(names)
    }

    /// Limits of each process; they also stand in for limit groups the host does not offer.
    pub(crate) fn process_limits(
        &self,
        limits: &SandboxLimits,
        own_user: bool,
    ) -> Vec<(Resource, u64)> {
        let mut wanted = vec![
            // Nothing fits in one byte, and unlike zero it also keeps the host's crash handler from being
            // started for a program of the sandbox.
            (Resource::Core, 1),
            (Resource::Fsize, limits.file_bytes_max),
            (Resource::Nofile, limits.open_files_max),
        ];
        if !self.cgroups.has_controller(CgroupController::Memory) {
            // Written memory only: runtimes reserve far more address space than they ever use.
            wanted.push((Resource::Data, limits.memory_bytes));
        }
        if !self.cgroups.has_controller(CgroupController::Pids) {
            wanted.push((Resource::Nproc, user_processes_max(limits, own_user)));
        }
        let allowed = |(resource, value): (Resource, u64)| {
            let hard = rustix::process::getrlimit(resource).maximum;
            (resource, value.min(hard.unwrap_or(u64::MAX)))
        };
        wanted.into_iter().map(allowed).collect()
    }
}

/// Whether this process may lay workspaces over folders at all.
pub(crate) fn check_overlay_support() -> Result<(), OverlayRefusal> {
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => Err(OverlayRefusal::NotRoot),
    }
}

/// Processes of the sandbox's user. Counted for the whole user, so others' threads must be left room.
pub(crate) fn user_processes_max(limits: &SandboxLimits, own_user: bool) -> u64 {
    let others = if own_user { 0 } else { threads_on_host() };
    limits.processes_max + others
}

/// The launch's environment with what no program can do without.
pub(crate) fn launch_environment(
    launch: &SandboxLaunch,
    home: &OsStr,
) -> Vec<(OsString, OsString)> {
    let mut env = launch.env.clone();
    for (key, value) in [
        ("HOME", home),
        ("PATH", OsStr::new("/usr/local/bin:/usr/bin:/bin")),
        ("LANG", OsStr::new("C.UTF-8")),
    ] {
        if !env.iter().any(|(k, _)| k == key) {
            env.push((key.into(), value.into()));
        }
    }
    env
}

/// The fourth word of the load averages is `running/all`.
fn threads_on_host() -> u64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let all = text
        .split_whitespace()
        .nth(3)
        .and_then(|w| w.split_once('/'));
    all.and_then(|(_, n)| n.parse().ok()).unwrap_or(4_096)
}

/// Release of the running kernel, such as `6.1.0-18-amd64`.
pub(crate) fn kernel_release() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}
