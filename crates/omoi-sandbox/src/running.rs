//! A sandbox at work: waiting for its end within its bounds, and how it ended.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::{debug, info, trace};

use omoi_domain::sandbox::SandboxRung;

use crate::capture::{CapturedOutput, OutputCapture};
use crate::child;
use crate::control::{ProcessTree, SandboxControl};
use crate::leader::Leader;
use crate::policy::{SandboxLaunch, SandboxLimits};
use crate::remains::SandboxRemains;
use crate::watch::{
    DISK_EVERY, DiskHistory, ExhaustedLimit, TREE_EVERY, exceeded_disk_limit, exceeded_tree_limit,
    sample,
};

/// How long output may trickle in after the program is gone.
const DRAIN: Duration = Duration::from_secs(2);
/// How long killing a tree may take whoever has to find its processes first.
const KILL_TIME: Duration = Duration::from_secs(10);

/// A started sandbox. Dropping it kills everything in it.
#[derive(Debug)]
pub struct RunningSandbox {
    pub(crate) leader: Leader,
    pub(crate) control: SandboxControl,
    pub(crate) started: Instant,
    pub(crate) bounds: RunBounds,
    pub(crate) remains: SandboxRemains,
}

/// Time limits, output limits and resource limits of a running sandbox.
#[derive(Clone, Debug)]
pub(crate) struct RunBounds {
    wall_timeout: Duration,
    grace: Duration,
    output_bytes_max: usize,
    limits: SandboxLimits,
    workspace: PathBuf,
    /// Scratch space on the host's disk, where it is not in memory.
    scratch: Option<PathBuf>,
    /// Bytes free on the disk of the workspace before the program ran.
    free_at_start: Option<u64>,
}

impl RunBounds {
    /// The bounds that `launch` asks for.
    pub(crate) fn for_launch(launch: &SandboxLaunch) -> Self {
        Self {
            wall_timeout: launch.wall_timeout,
            grace: launch.grace,
            output_bytes_max: launch.output_bytes_max,
            limits: launch.limits,
            workspace: launch.workspace.clone(),
            scratch: None,
            free_at_start: sample::free_disk(&launch.workspace).map(|(free, _)| free),
        }
    }

    /// The same, with the folder `scratch` watched too.
    pub(crate) fn with_scratch(self, scratch: PathBuf) -> Self {
        Self {
            scratch: Some(scratch),
            ..self
        }
    }

    /// Logs that sandbox `name` has started, and within what.
    pub(crate) fn log_start(&self, name: &str, rung: SandboxRung, at: Instant) {
        let (ms, wall_s) = (at.elapsed().as_millis() as u64, self.wall_timeout.as_secs());
        debug!(sandbox = name, %rung, ms, wall_s, limits = ?self.limits, "Sandbox `{name}` started");
    }
}

/// Why a sandbox was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SandboxStop {
    /// It ran longer than its wall time.
    TimedOut,
    /// The watcher saw a limit broken.
    Exhausted(ExhaustedLimit),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramEnd {
    /// By itself, with this code.
    Code(i32),
    /// By this signal. A program that itself exits with 128 + n counts as ended by signal n, as in a
    /// shell, because bubblewrap reports no more than that.
    Signal(i32),
}

/// How a sandbox ended, with its output.
#[derive(Clone, Debug)]
pub struct SandboxEnd {
    /// How the program ended.
    pub ended: ProgramEnd,
    /// It was stopped for running longer than its wall time.
    pub timed_out: bool,
    /// It was stopped by the watcher for breaking this limit.
    pub exhausted: Option<ExhaustedLimit>,
    /// The kernel killed at least one of its processes for want of memory.
    pub out_of_memory: bool,
    /// Standard output, its middle left out when long.
    pub stdout: CapturedOutput,
    /// Standard error, its middle left out when long.
    pub stderr: CapturedOutput,
    /// From start to end.
    pub took: Duration,
}

impl SandboxEnd {
    /// True when the program ended by itself with code 0.
    pub fn has_succeeded(&self) -> bool {
        self.ended == ProgramEnd::Code(0) && !self.timed_out && self.exhausted.is_none()
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

impl RunningSandbox {
    /// A handle to stop it while somebody else waits.
    pub fn control(&self) -> SandboxControl {
        self.control.clone()
    }

    /// Waits until the whole tree is gone; past the wall time it is interrupted, then killed.
    ///
    /// Output is read only while this runs, so call it at once. Dropping the future kills the sandbox.
    pub async fn wait(mut self) -> Result<SandboxEnd, WaitError> {
        let mut stdout = OutputCapture::new(self.bounds.output_bytes_max);
        let mut stderr = OutputCapture::new(self.bounds.output_bytes_max);
        let [out, err] = self.leader.take_output();
        let stopped = {
            let pump = async {
                tokio::join!(
                    async {
                        if let Some(mut out) = out {
                            stdout.read_stream(&mut out).await;
                        }
                    },
                    async {
                        if let Some(mut err) = err {
                            stderr.read_stream(&mut err).await;
                        }
                    }
                );
            };
            let end = self.wait_for_tree();
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
        let (stdout, stderr) = (stdout.finish(), stderr.finish());
        let ended = self.leader.program_end(&stderr).await?;
        let by_engine = self.leader.out_of_memory().await;
        let out_of_memory = by_engine || self.remains.group.out_of_memory();
        self.remains.clear_up().await;
        let (name, ms) = (&self.remains.name, took.as_millis() as u64);
        debug!(
            sandbox = name,
            ?ended,
            ms,
            out_of_memory,
            "Sandbox `{name}` ended"
        );
        Ok(SandboxEnd {
            ended,
            timed_out: stopped == Some(SandboxStop::TimedOut),
            exhausted: self.control.exhausted_limit(),
            out_of_memory,
            stdout,
            stderr,
            took,
        })
    }

    /// Waits for the tree; says why it had to be stopped.
    async fn wait_for_tree(&mut self) -> io::Result<Option<SandboxStop>> {
        let control = self.control();
        let mut looks = 0_u32;
        let mut history = DiskHistory {
            free_at_start: self.bounds.free_at_start,
            hid_folder: false,
        };
        let stopped = loop {
            let left = self
                .bounds
                .wall_timeout
                .saturating_sub(self.started.elapsed());
            if let Ok(ended) = timeout(left.min(TREE_EVERY), self.leader.leader_ended()).await {
                ended?;
                break None;
            }
            if self.started.elapsed() >= self.bounds.wall_timeout {
                break Some(SandboxStop::TimedOut);
            }
            looks += 1;
            let at_disk = looks.is_multiple_of(DISK_EVERY).then_some(&mut history);
            if let Some(limit) = self.sample_usage(at_disk).await {
                let _ = control.exhausted.set(limit);
                break Some(SandboxStop::Exhausted(limit));
            }
        };
        if let Some(reason) = &stopped {
            let name = &self.remains.name;
            info!(sandbox = name, ?reason, "Sandbox `{name}` is made to stop");
            control.interrupt_program();
            let _ = timeout(self.bounds.grace, self.leader.leader_ended()).await;
            control.kill_tree();
            if timeout(KILL_TIME, self.leader.leader_ended())
                .await
                .is_err()
            {
                control.kill_leader();
            }
            self.leader.leader_ended().await?;
        }
        // What the program left behind goes with it.
        control.kill_tree();
        if let ProcessTree::Space {
            init: Some(init), ..
        } = &*control.tree
        {
            let _ = child::watch_exit(init.try_clone()?)?.readable().await?;
        }
        Ok(stopped)
    }

    /// Samples the processes, and the disk now and then, off the threads that serve others.
    async fn sample_usage(&self, at_disk: Option<&mut DiskHistory>) -> Option<ExhaustedLimit> {
        let leader = self.control.tree.root_pid()?;
        let user = self.control.tree.own_user();
        let (dir, scratch) = (self.bounds.workspace.clone(), self.bounds.scratch.clone());
        let looks_at_disk = at_disk.is_some();
        let sampled = tokio::task::spawn_blocking(move || {
            let (tree, held) = sample::sample_tree(leader, user);
            let look = || sample::sample_disk(&dir, scratch.as_deref(), &held);
            (tree, looks_at_disk.then(look).flatten())
        });
        let (tree, disk) = sampled.await.ok()?;
        trace!(
            sandbox = self.remains.name,
            ?tree,
            ?disk,
            "Looked at what a sandbox uses"
        );
        let limits = &self.bounds.limits;
        let of_disk = at_disk.zip(disk).and_then(|(history, disk)| {
            let exceeded = exceeded_disk_limit(limits, disk, *history);
            history.hid_folder = disk.hides_folder;
            exceeded
        });
        exceeded_tree_limit(limits, tree).or(of_disk)
    }
}
