//! The `bubblewrap` rung: own namespaces, an allow-list of mounts, a system-call filter and limits.

pub(crate) mod args;
pub(crate) mod protect;
pub(crate) mod status;
mod verify;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use args::{LaunchPlan, LaunchSite, WallSite};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags};
use status::StatusPipe;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tracing::debug;

use omoi_domain::sandbox::SandboxRung;

use crate::base::{self, RungBase};
use crate::child::EntryStep;
use crate::control::{ProcessTree, SandboxControl};
use crate::leader::{Leader, ProcessLeader};
use crate::overlay::OverlayRefusal;
use crate::pidfile::{self, ProcessIdentity, SandboxPidfile};
use crate::policy::SandboxLaunch;
use crate::process::{EntryPlan, StartError, StartRequest, StartedProgram, start_program};
use crate::property::{Property, PropertyStatus};
use crate::provider::{BoxFuture, LaunchError, Provider};
use crate::remains::SandboxRemains;
use crate::running::{RunBounds, RunningSandbox};
use crate::second_wall::SecondWall;
use crate::start_mark;
use crate::workspace::WorkspaceError;

pub(crate) use verify::find_bubblewrap;

/// How long bubblewrap may take to fork.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);

/// The `bubblewrap` rung, every property of which was tested on this host.
#[derive(Debug)]
pub(crate) struct BubblewrapRung {
    inner: Arc<BubblewrapInner>,
    version: String,
    properties: Vec<(Property, PropertyStatus)>,
}

#[derive(Debug)]
struct BubblewrapInner {
    base: RungBase,
    program: PathBuf,
    /// Landlock inside, where it can be had.
    wall: Option<SecondWall>,
}

impl Provider for BubblewrapRung {
    fn rung(&self) -> SandboxRung {
        SandboxRung::Bubblewrap
    }

    fn rung_version(&self) -> &str {
        &self.version
    }

    fn held_properties(&self) -> &[(Property, PropertyStatus)] {
        &self.properties
    }

    fn launch(&self, launch: SandboxLaunch) -> BoxFuture<'_, Result<RunningSandbox, LaunchError>> {
        Box::pin(launch_inside(Arc::clone(&self.inner), launch))
    }

    fn path_inside(&self, _launch: &SandboxLaunch, path: &Path) -> PathBuf {
        path.into()
    }

    fn overlay_support(&self) -> Result<(), OverlayRefusal> {
        base::check_overlay_support()
    }

    fn lay_workspace(&self, dir: &Path, lowers: &[&Path]) -> Result<(), OverlayRefusal> {
        self.inner.base.lay_workspace(dir, lowers)
    }

    fn prepare_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        self.inner.base.prepare_workspace(dir)
    }

    fn changed_files(&self, dir: &Path) -> Option<Arc<OwnedFd>> {
        self.inner.base.changed_files(dir)
    }

    fn remove_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        self.inner.base.remove_workspace(dir)
    }

    fn list_orphans(&self) -> io::Result<Vec<String>> {
        self.inner.base.orphan_names()
    }

    fn destroy_sandbox(&self, name: &str) -> io::Result<bool> {
        pidfile::destroy_leftovers(&self.inner.base.state_dir, name, &self.inner.base.users)
    }
}

/// A started bubblewrap whose first process inside is not known yet.
struct BegunLaunch {
    started: StartedProgram,
    status: OwnedFd,
    report: Option<OwnedFd>,
    remains: SandboxRemains,
    at: Instant,
    bounds: RunBounds,
}

async fn launch_inside(
    inner: Arc<BubblewrapInner>,
    launch: SandboxLaunch,
) -> Result<RunningSandbox, LaunchError> {
    let spawner = inner.base.spawner.clone();
    let begun = spawner.run_job(move || inner.begin_launch(&launch)).await;
    let BegunLaunch {
        mut started,
        status,
        report,
        mut remains,
        at,
        bounds,
    } = begun.ok_or(LaunchError::ThreadDied)??;
    let record_error = |name: &str| {
        let name = name.to_owned();
        move |source| LaunchError::Record { name, source }
    };
    let mut status = StatusPipe::new(status).map_err(record_error(&remains.name))?;
    let report = report.map(StatusPipe::new).transpose();
    let report = report.map_err(record_error(&remains.name))?;
    let init = timeout(SETUP_TIMEOUT, status.child_pid()).await;
    let Ok(Some(init)) = init else {
        return Err(setup_error(&mut started).await);
    };
    let (name, dir) = (remains.name.clone(), remains.state_dir.clone());
    let groups = remains.group.group_dirs().map(Path::to_path_buf).collect();
    let leader = started.pid;
    let identify = move || record_init(&dir, &name, groups, SandboxPids { leader, init });
    let found = spawner.run_job(identify).await;
    let (init, init_process) = found
        .ok_or(LaunchError::ThreadDied)?
        .map_err(record_error(&remains.name))?;
    let watched = started.pidfd.try_clone();
    let watched = watched.map_err(record_error(&remains.name))?;
    let leader = ProcessLeader::follow_process(started.child, watched);
    let mut leader = leader.map_err(record_error(&remains.name))?;
    let control = SandboxControl::new(ProcessTree::Space {
        leader: started.pidfd,
        init,
        init_process,
    });
    remains.control = Some(control.clone());
    bounds.log_start(&remains.name, SandboxRung::Bubblewrap, at);
    leader.status = Some(status);
    leader.report = report;
    Ok(RunningSandbox {
        leader: Leader::Process(Box::new(leader)),
        control,
        started: at,
        bounds,
        remains,
    })
}

/// Pids of bubblewrap itself and of the first process inside, as the host counts them.
#[derive(Clone, Copy)]
struct SandboxPids {
    leader: Pid,
    init: Pid,
}

/// Takes hold of the first process inside and records it, unless it ended already.
fn record_init(
    dir: &Path,
    name: &str,
    groups: Vec<PathBuf>,
    SandboxPids { leader, init }: SandboxPids,
) -> io::Result<(Option<OwnedFd>, Option<ProcessIdentity>)> {
    let fd = match rustix::process::pidfd_open(init, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => None,
        other => Some(other?),
    };
    let pidfile = SandboxPidfile {
        leader: ProcessIdentity::of_live(leader),
        init: fd.as_ref().and_then(|_| ProcessIdentity::of_live(init)),
        groups,
        user: None,
        engine: None,
    };
    pidfile::write_pidfile(dir, name, &pidfile)?;
    Ok((fd, pidfile.init))
}

/// The error message that bubblewrap wrote before it forked.
async fn setup_error(started: &mut StartedProgram) -> LaunchError {
    let _ = started.child.start_kill();
    let mut message = String::new();
    if let Some(stderr) = &mut started.child.stderr {
        let mut bytes = Vec::new();
        let _ = stderr.take(4_096).read_to_end(&mut bytes).await;
        message = String::from_utf8_lossy(&bytes).trim().to_owned();
    }
    if message.is_empty() {
        message = "it said nothing".into();
    }
    debug!(
        bubblewrap_says = message,
        "Bubblewrap gave up before the program started"
    );
    LaunchError::Setup { message }
}

impl BubblewrapInner {
    /// Everything that blocks, on the spawning thread.
    fn begin_launch(&self, launch: &SandboxLaunch) -> Result<BegunLaunch, LaunchError> {
        let at = Instant::now();
        let remains = self.base.claim_name(launch)?;
        let uid = self.base.sandbox_user(&launch.workspace)?;
        let shields = protect::prepare_paths(&launch.workspace, &launch.protected, launch.access)
            .map_err(|(path, source)| LaunchError::Protect { path, source })?;
        let record = |source: rustix::io::Errno| LaunchError::Record {
            name: launch.name.clone(),
            source: source.into(),
        };
        let (status, status_out) = pipe_with(PipeFlags::CLOEXEC).map_err(record)?;
        let (report, wall) = match &self.wall {
            Some(wall) => {
                let (ours, report) = pipe_with(PipeFlags::CLOEXEC).map_err(record)?;
                (Some(ours), Some(WallSite { wall, report }))
            }
            None => (None, None),
        };
        let site = LaunchSite {
            uid,
            hidden: &self.base.hidden,
            status: status_out,
            wall,
        };
        let plan = args::plan_launch(launch, &shields, site)?;
        let groups = remains.group.join_files().map_err(LaunchError::Limits)?;
        let LaunchPlan {
            args,
            keep,
            mut stage,
            sources,
        } = plan;
        let mounts = self.base.leave_others_out(&mut stage, &launch.workspace)?;
        let started = start_program(StartRequest {
            program: self.program.clone(),
            shown_as: Some(start_mark::own_mark(&launch.name)),
            args,
            // What bubblewrap itself is started with shows inside as the environment of process 1.
            env: Vec::new(),
            streams: launch.streams,
            is_follower: false,
            entry: EntryPlan {
                groups,
                stage,
                rlimits: self.base.process_limits(&launch.limits, uid.is_some()),
                uid,
                directory: c"/".to_owned(),
                keep,
            },
        })
        .map_err(|error| self.start_error(error, &sources))?;
        drop(mounts);
        Ok(BegunLaunch {
            started,
            status,
            report,
            remains,
            at,
            bounds: RunBounds::for_launch(launch),
        })
    }

    fn start_error(&self, error: StartError, sources: &[PathBuf]) -> LaunchError {
        let StartError { step, source } = error;
        let Some(step) = step else {
            return LaunchError::Program {
                program: self.program.clone(),
                source,
            };
        };
        let path = match step {
            EntryStep::OpenSource(n) | EntryStep::BindSource(n) => {
                sources.get(usize::from(n)).cloned()
            }
            _ => None,
        };
        LaunchError::Entry { step, path, source }
    }
}
