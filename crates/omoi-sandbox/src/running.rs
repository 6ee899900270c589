//! A sandbox at work: waiting for it, interrupting it, killing it, clearing up after it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::process::Child;
use tokio::time::timeout;

use crate::bubblewrap::status::StatusPipe;
use crate::capture::{Capture, Captured};
use crate::cgroup::Group;
use crate::child;
use crate::marker::{self, Process};
use crate::policy::{Launch, Limits};
use crate::process::Worker;
use crate::watch::{DISK_EVERY, Exhausted, TREE_EVERY, judge_disk, judge_tree, sample};

/// How long output may trickle in after the program is gone.
const DRAIN: Duration = Duration::from_secs(2);

/// A started sandbox. Dropping it kills everything in it.
#[derive(Debug)]
pub struct Running {
    pub(crate) child: Child,
    pub(crate) control: Control,
    pub(crate) status: Option<StatusPipe>,
    pub(crate) started: Instant,
    pub(crate) bounds: Bounds,
    pub(crate) remains: Remains,
}

/// What a sandbox is held to while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    wall_timeout: Duration,
    grace: Duration,
    output_bytes_max: usize,
    limits: Limits,
    workspace: PathBuf,
}

impl Bounds {
    /// The bounds that `launch` asks for.
    pub(crate) fn of(launch: &Launch) -> Self {
        Self {
            wall_timeout: launch.wall_timeout,
            grace: launch.grace,
            output_bytes_max: launch.output_bytes_max,
            limits: launch.limits,
            workspace: launch.workspace.clone(),
        }
    }
}

/// Why a sandbox was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// It ran longer than its wall time.
    TimedOut,
    /// The watcher saw a limit broken.
    Exhausted(Exhausted),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal. A program that itself exits with 128 + n counts as ended by signal n, as in a
    /// shell, because bubblewrap reports no more than that.
    Signal(i32),
}

/// What is left of a sandbox that ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// How the program ended.
    pub ended: Ended,
    /// It was stopped for running longer than its wall time.
    pub timed_out: bool,
    /// It was stopped by the watcher for breaking this limit.
    pub exhausted: Option<Exhausted>,
    /// The kernel killed at least one of its processes for want of memory.
    pub out_of_memory: bool,
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
    /// From start to end.
    pub took: Duration,
}

impl Exit {
    /// True when the program ended by itself with code 0.
    pub fn succeeded(&self) -> bool {
        self.ended == Ended::Code(0) && !self.timed_out && self.exhausted.is_none()
    }
}

/// A sandbox ended in a way that says nothing about its program.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The sandbox fell apart before the program ran.
    #[error("the program was never started: {message}")]
    NotStarted {
        /// What the sandbox said last.
        message: String,
    },
    /// The system refused to say how it ended.
    #[error("could not wait for the sandbox")]
    System(#[source] io::Error),
}

/// A cheap handle that stops a sandbox from elsewhere. It keeps nothing alive.
#[derive(Clone, Debug)]
pub struct Control {
    tree: Arc<Tree>,
    /// Told before the program is asked to stop, so that whoever hears of its end knows why.
    exhausted: Arc<OnceLock<Exhausted>>,
}

/// The processes of a sandbox.
#[derive(Debug)]
pub(crate) enum Tree {
    /// A process space: when its first process dies, so does everything in it.
    Space {
        leader: OwnedFd,
        /// Absent when it ended before it could be looked at, and everything inside with it.
        init: Option<OwnedFd>,
        init_process: Option<Process>,
    },
    /// A session of ordinary processes.
    Session {
        leader: OwnedFd,
        leader_process: Process,
    },
}

impl Tree {
    fn leader(&self) -> &OwnedFd {
        match self {
            Self::Space { leader, .. } | Self::Session { leader, .. } => leader,
        }
    }

    /// The process that everything in the sandbox descends from.
    fn root(&self) -> Option<Pid> {
        match self {
            Self::Space { init_process, .. } => init_process.map(|process| process.pid),
            Self::Session { leader_process, .. } => Some(leader_process.pid),
        }
    }
}

impl Control {
    pub(crate) fn new(tree: Tree) -> Self {
        Self {
            tree: Arc::new(tree),
            exhausted: Arc::default(),
        }
    }

    /// The limit that the watcher stopped the sandbox for.
    pub fn exhausted(&self) -> Option<Exhausted> {
        self.exhausted.get().copied()
    }

    /// Asks the program itself (not its children) to save and stop, by SIGTERM.
    ///
    /// Bubblewrap would pass such a signal on as an immediate kill, so it goes past it to the program.
    /// A sandbox whose program has not started yet has nothing to save and is ended.
    pub fn interrupt(&self) {
        match &*self.tree {
            Tree::Space {
                leader,
                init_process,
                ..
            } => {
                let program = init_process.and_then(first_child);
                let _ = rustix::process::pidfd_send_signal(
                    program.as_ref().unwrap_or(leader),
                    Signal::TERM,
                );
            }
            Tree::Session { leader, .. } => {
                let _ = rustix::process::pidfd_send_signal(leader, Signal::TERM);
            }
        }
    }

    /// Kills the whole tree at once.
    pub fn kill(&self) {
        match &*self.tree {
            Tree::Space { leader, init, .. } => {
                let _ = rustix::process::pidfd_send_signal(leader, Signal::KILL);
                if let Some(init) = init {
                    let _ = rustix::process::pidfd_send_signal(init, Signal::KILL);
                }
            }
            Tree::Session {
                leader,
                leader_process,
            } => {
                // A reaped leader's number may belong to somebody else.
                if rustix::process::pidfd_send_signal(leader, Signal::KILL).is_ok() {
                    let _ = rustix::process::kill_process_group(leader_process.pid, Signal::KILL);
                }
            }
        }
    }
}

/// The oldest child of `parent`: the program, for the first process of a sandbox.
fn first_child(parent: Process) -> Option<OwnedFd> {
    let child = marker::children(parent.pid).into_iter().next()?;
    let fd = rustix::process::pidfd_open(child, PidfdFlags::empty()).ok()?;
    // Were the parent gone, its number and so the child found could be a stranger's.
    parent.is_live().then_some(fd)
}

impl Running {
    /// A handle to stop it while somebody else waits.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until the whole tree is gone; past the wall time it is interrupted, then killed.
    ///
    /// Output is read only while this runs, so call it at once. Dropping the future kills the sandbox.
    pub async fn wait(mut self) -> Result<Exit, WaitError> {
        let mut stdout = Capture::new(self.bounds.output_bytes_max);
        let mut stderr = Capture::new(self.bounds.output_bytes_max);
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        let (status, stopped) = {
            let pump = async {
                tokio::join!(
                    async {
                        if let Some(mut out) = out {
                            stdout.read(&mut out).await;
                        }
                    },
                    async {
                        if let Some(mut err) = err {
                            stderr.read(&mut err).await;
                        }
                    }
                );
            };
            let end = self.end();
            tokio::pin!(pump, end);
            let mut drained = false;
            let ended = loop {
                // Cancel-safe: both futures are pinned and polled again, never recreated.
                tokio::select! {
                    () = &mut pump, if !drained => drained = true,
                    ended = &mut end => break ended.map_err(WaitError::System)?,
                }
            };
            if !drained {
                let _ = timeout(DRAIN, &mut pump).await;
            }
            ended
        };
        let took = self.started.elapsed();
        let out_of_memory = self.remains.group.out_of_memory();
        let (stdout, stderr) = (stdout.finish(), stderr.finish());
        let ended = match &mut self.status {
            Some(pipe) => ended_inside(pipe.exit_code().await, status, &stderr)?,
            None => ended_plainly(status),
        };
        self.remains.clear().await;
        Ok(Exit {
            ended,
            timed_out: stopped == Some(Stopped::TimedOut),
            exhausted: self.control.exhausted(),
            out_of_memory,
            stdout,
            stderr,
            took,
        })
    }

    /// Waits for the tree and reaps its leader; says why it had to be stopped.
    async fn end(&mut self) -> io::Result<(ExitStatus, Option<Stopped>)> {
        let control = self.control();
        let leader = child::watch(control.tree.leader().try_clone()?)?;
        let mut looks = 0_u32;
        let stopped = loop {
            let left = self
                .bounds
                .wall_timeout
                .saturating_sub(self.started.elapsed());
            if timeout(left.min(TREE_EVERY), leader.readable())
                .await
                .is_ok()
            {
                break None;
            }
            if self.started.elapsed() >= self.bounds.wall_timeout {
                break Some(Stopped::TimedOut);
            }
            looks += 1;
            if let Some(limit) = self.look(looks.is_multiple_of(DISK_EVERY)).await {
                let _ = control.exhausted.set(limit);
                break Some(Stopped::Exhausted(limit));
            }
        };
        if stopped.is_some() {
            control.interrupt();
            let _ = timeout(self.bounds.grace, leader.readable()).await;
            control.kill();
            let _ = leader.readable().await?;
        }
        // What the program left behind goes with it.
        control.kill();
        if let Tree::Space {
            init: Some(init), ..
        } = &*control.tree
        {
            let _ = child::watch(init.try_clone()?)?.readable().await?;
        }
        Ok((self.child.wait().await?, stopped))
    }

    /// Samples the processes, and the disk now and then, off the threads that serve others.
    async fn look(&self, at_disk: bool) -> Option<Exhausted> {
        let leader = self.control.tree.root()?;
        let dir = self.bounds.workspace.clone();
        let sampled = tokio::task::spawn_blocking(move || {
            let disk = at_disk.then(|| sample::disk(&dir)).flatten();
            (sample::tree(leader), disk)
        });
        let (tree, disk) = sampled.await.ok()?;
        let limits = &self.bounds.limits;
        let of_disk = || disk.and_then(|disk| judge_disk(limits, disk));
        judge_tree(limits, tree).or_else(of_disk)
    }
}

fn ended_inside(
    code: Option<i32>,
    status: ExitStatus,
    stderr: &Captured,
) -> Result<Ended, WaitError> {
    match (code, ended_plainly(status)) {
        (Some(code @ 129..=192), _) => Ok(Ended::Signal(code - 128)),
        (Some(code), _) => Ok(Ended::Code(code)),
        (None, signal @ Ended::Signal(_)) => Ok(signal),
        (None, Ended::Code(_)) => Err(WaitError::NotStarted {
            message: stderr.to_text().trim().to_owned(),
        }),
    }
}

fn ended_plainly(status: ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}

/// Names of the sandboxes this process runs.
pub(crate) type Live = Arc<Mutex<BTreeSet<String>>>;

/// What must be cleared up after a sandbox, whichever way it ends.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) name: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) group: Group,
    pub(crate) control: Option<Control>,
    pub(crate) live: Live,
    pub(crate) reaper: Worker,
    #[expect(
        dead_code,
        reason = "held so that the spawning thread, and so the sandbox, stays alive"
    )]
    pub(crate) spawner: Worker,
    pub(crate) cleared: bool,
}

impl Remains {
    /// Clears up after a sandbox whose leader is gone.
    async fn clear(&mut self) {
        let space = matches!(
            self.control.as_ref().map(|c| &*c.tree),
            Some(Tree::Space { .. })
        );
        // A process space is known to be empty here; a session may have lost members to other sessions.
        if space && self.group.remove() {
            marker::release(&self.state_dir, &self.name);
            forget(&self.live, &self.name);
        } else {
            let job = self.destroy_job();
            self.reaper.run(job).await;
        }
        self.cleared = true;
    }

    fn destroy_job(&self) -> impl FnOnce() + Send + 'static {
        let (name, dir) = (self.name.clone(), self.state_dir.clone());
        let live = Arc::clone(&self.live);
        move || {
            if let Err(error) = marker::destroy(&dir, &name) {
                tracing::warn!(sandbox = name, %error, "Could not clear up after sandbox `{name}`");
            }
            forget(&live, &name);
        }
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if !self.cleared {
            if let Some(control) = &self.control {
                control.kill();
            }
            self.reaper.send(self.destroy_job());
        }
    }
}

pub(crate) fn forget(live: &Live, name: &str) {
    live.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(name);
}
