//! Stopping a sandbox from elsewhere: which processes it has, and how each kind of tree is ended.

use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use rustix::process::{Pid, PidfdFlags, Signal, Uid};
use tracing::debug;

use crate::follower::END_TREE;
use crate::pidfile::ProcessIdentity;
use crate::process_table;
use crate::watch::ExhaustedLimit;

/// A cheap handle that stops a sandbox from elsewhere. It keeps nothing alive.
#[derive(Clone, Debug)]
pub struct SandboxControl {
    pub(crate) tree: Arc<ProcessTree>,
    /// Told before the program is asked to stop, so that whoever hears of its end knows why.
    pub(crate) exhausted: Arc<OnceLock<ExhaustedLimit>>,
}

/// The processes of a sandbox.
#[derive(Debug)]
pub(crate) enum ProcessTree {
    /// A process space: when its first process dies, so does everything in it.
    Space {
        leader: OwnedFd,
        /// Absent when it ended before it could be looked at, and everything inside with it.
        init: Option<OwnedFd>,
        init_process: Option<ProcessIdentity>,
    },
    /// A container, whose first process is the program itself. An engine keeps it, which also clears it away.
    Container {
        /// Absent when it ended before it could be looked at.
        init: Option<OwnedFd>,
        init_process: Option<ProcessIdentity>,
    },
    /// A session of ordinary processes.
    Session {
        leader: OwnedFd,
        leader_process: ProcessIdentity,
        /// Whether the leader is a follower of the program, which ends everything when it is asked.
        is_followed: bool,
        /// Tells its processes apart from others where no limit group does.
        user: Option<Uid>,
    },
}

impl ProcessTree {
    /// The process that everything in the sandbox descends from.
    pub(crate) fn root_pid(&self) -> Option<Pid> {
        match self {
            Self::Space { init_process, .. } | Self::Container { init_process, .. } => {
                init_process.map(|process| process.pid)
            }
            Self::Session { leader_process, .. } => Some(leader_process.pid),
        }
    }

    /// The user by which more of its processes are found.
    pub(crate) fn own_user(&self) -> Option<Uid> {
        match self {
            Self::Session { user, .. } => *user,
            Self::Space { .. } | Self::Container { .. } => None,
        }
    }
}

impl SandboxControl {
    pub(crate) fn new(tree: ProcessTree) -> Self {
        Self {
            tree: Arc::new(tree),
            exhausted: Arc::default(),
        }
    }

    /// The limit that the watcher stopped the sandbox for.
    pub fn exhausted_limit(&self) -> Option<ExhaustedLimit> {
        self.exhausted.get().copied()
    }

    /// Sends SIGTERM to the program itself, not to its children, so that it saves and stops.
    ///
    /// Bubblewrap would pass such a signal on as an immediate kill, so it goes past it to the program.
    /// A sandbox whose program has not started yet has nothing to save and is ended.
    pub fn interrupt_program(&self) {
        match &*self.tree {
            ProcessTree::Space {
                leader,
                init_process,
                ..
            } => {
                let program = init_process.and_then(first_child);
                debug!(
                    has_program = program.is_some(),
                    "Asking a sandbox to save and stop"
                );
                let _ = rustix::process::pidfd_send_signal(
                    program.as_ref().unwrap_or(leader),
                    Signal::TERM,
                );
            }
            ProcessTree::Container { init, .. } => {
                debug!("Asking a container to save and stop");
                if let Some(init) = init {
                    let _ = rustix::process::pidfd_send_signal(init, Signal::TERM);
                }
            }
            ProcessTree::Session {
                leader,
                leader_process,
                ..
            } => {
                debug!(pid = ?leader_process.pid, "Asking a plain process to save and stop");
                let _ = rustix::process::pidfd_send_signal(leader, Signal::TERM);
            }
        }
    }

    /// Kills the whole tree at once.
    pub fn kill_tree(&self) {
        match &*self.tree {
            ProcessTree::Space { leader, init, .. } => {
                let _ = rustix::process::pidfd_send_signal(leader, Signal::KILL);
                if let Some(init) = init {
                    let _ = rustix::process::pidfd_send_signal(init, Signal::KILL);
                }
            }
            ProcessTree::Container { init, .. } => {
                if let Some(init) = init {
                    let _ = rustix::process::pidfd_send_signal(init, Signal::KILL);
                }
            }
            ProcessTree::Session {
                leader,
                is_followed: true,
                ..
            } => {
                let _ = rustix::process::pidfd_send_signal(leader, END_TREE);
            }
            ProcessTree::Session {
                leader,
                leader_process,
                ..
            } => {
                // A reaped leader's number may belong to somebody else.
                if rustix::process::pidfd_send_signal(leader, Signal::KILL).is_ok() {
                    let _ = rustix::process::kill_process_group(leader_process.pid, Signal::KILL);
                }
            }
        }
    }
}

impl SandboxControl {
    /// Kills what the tree was started by, which did not end when it was to end everything; the next step, or the next
    /// start, finds what is left by its session and its user.
    pub(crate) fn kill_leader(&self) {
        if let ProcessTree::Session { leader, .. } = &*self.tree {
            let _ = rustix::process::pidfd_send_signal(leader, Signal::KILL);
        }
    }
}

/// The oldest child of `parent`: the program, for the first process of a sandbox.
fn first_child(parent: ProcessIdentity) -> Option<OwnedFd> {
    let child = process_table::child_pids(parent.pid).into_iter().next()?;
    let fd = rustix::process::pidfd_open(child, PidfdFlags::empty()).ok()?;
    // Were the parent gone, its number and so the child found could be a stranger's.
    parent.is_live().then_some(fd)
}
