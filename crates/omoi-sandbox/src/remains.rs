//! Clearing up after a sandbox: its processes, its limit groups and its pidfile.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cgroup::LimitGroup;
use crate::control::{ProcessTree, SandboxControl};
use crate::pidfile;
use crate::process::JobThread;
use crate::users::WorkspaceUsers;

/// Names of the sandboxes this process runs.
pub(crate) type LiveNames = Arc<Mutex<BTreeSet<String>>>;

/// What must be cleared up after a sandbox, whichever way it ends.
#[derive(Debug)]
pub(crate) struct SandboxRemains {
    pub(crate) name: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) group: LimitGroup,
    pub(crate) control: Option<SandboxControl>,
    pub(crate) live: LiveNames,
    pub(crate) reaper: JobThread,
    #[expect(
        dead_code,
        reason = "held so that the spawning thread, and so the sandbox, stays alive"
    )]
    pub(crate) spawner: JobThread,
    pub(crate) users: Arc<WorkspaceUsers>,
    pub(crate) cleared: bool,
}

impl SandboxRemains {
    /// Clears up after a sandbox whose leader is gone.
    pub(crate) async fn clear_up(&mut self) {
        let space = matches!(
            self.control.as_ref().map(|c| &*c.tree),
            Some(ProcessTree::Space { .. })
        );
        // A process space is known to be empty here; a session may have lost members to other sessions.
        if space && self.group.remove_groups() {
            pidfile::release_name(&self.state_dir, &self.name);
            forget_name(&self.live, &self.name);
        } else {
            let job = self.destroy_job();
            self.reaper.run_job(job).await;
        }
        self.cleared = true;
    }

    fn destroy_job(&self) -> impl FnOnce() + Send + 'static {
        let (name, dir) = (self.name.clone(), self.state_dir.clone());
        let live = Arc::clone(&self.live);
        let users = Arc::clone(&self.users);
        move || {
            if let Err(error) = pidfile::destroy_leftovers(&dir, &name, &users) {
                tracing::warn!(sandbox = name, %error, "Could not clear up after sandbox `{name}`");
            }
            forget_name(&live, &name);
        }
    }
}

impl Drop for SandboxRemains {
    fn drop(&mut self) {
        if !self.cleared {
            if let Some(control) = &self.control {
                control.kill_tree();
            }
            self.reaper.send_job(self.destroy_job());
        }
    }
}

fn forget_name(live: &LiveNames, name: &str) {
    live.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(name);
}
