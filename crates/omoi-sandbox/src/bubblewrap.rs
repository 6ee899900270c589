//! The `bubblewrap` rung: own namespaces, an allow-list of mounts, a system-call filter and limits.

mod args;
pub(crate) mod protect;
mod seccomp;
pub(crate) mod status;
mod users;
mod verify;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use args::{Plan, Site};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Uid};
use status::StatusPipe;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use users::Users;

use omoi_domain::sandbox::SandboxRung;

use crate::base::Base;
use crate::child::Step;
use crate::marker::{self, Marker, Process};
use crate::policy::Launch;
use crate::process::{EntryPlan, Order, StartError, Started, start};
use crate::property::{Held, Property};
use crate::provider::{BoxFuture, LaunchError, Provider};
use crate::running::{Bounds, Control, Remains, Running, Tree};
use crate::workspace::{self, WorkspaceError};

pub(crate) use verify::find;

/// How long bubblewrap may take to fork.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A verified bubblewrap.
#[derive(Debug)]
pub(crate) struct Bubblewrap {
    inner: Arc<Inner>,
    version: String,
    properties: Vec<(Property, Held)>,
}

#[derive(Debug)]
struct Inner {
    base: Base,
    program: PathBuf,
    users: Users,
}

impl Provider for Bubblewrap {
    fn rung(&self) -> SandboxRung {
        SandboxRung::Bubblewrap
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn properties(&self) -> &[(Property, Held)] {
        &self.properties
    }

    fn launch(&self, launch: Launch) -> BoxFuture<'_, Result<Running, LaunchError>> {
        Box::pin(launch_inside(Arc::clone(&self.inner), launch))
    }

    fn path_inside(&self, _launch: &Launch, path: &Path) -> PathBuf {
        path.into()
    }

    fn prepare_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        self.inner.users.prepare(dir)
    }

    fn reclaim_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        self.inner.users.reclaim(dir)
    }

    fn remove_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        workspace::remove(dir)?;
        self.inner.users.forget(dir);
        Ok(())
    }

    fn orphans(&self) -> io::Result<Vec<String>> {
        self.inner.base.orphans()
    }

    fn destroy(&self, name: &str) -> io::Result<bool> {
        marker::destroy(&self.inner.base.state_dir, name)
    }
}

/// A started bubblewrap that has not yet said what it started.
struct Begun {
    started: Started,
    status: OwnedFd,
    remains: Remains,
    at: Instant,
    bounds: Bounds,
}

async fn launch_inside(inner: Arc<Inner>, launch: Launch) -> Result<Running, LaunchError> {
    let spawner = inner.base.spawner.clone();
    let begun = spawner.run(move || inner.begin(&launch)).await;
    let Begun {
        mut started,
        status,
        mut remains,
        at,
        bounds,
    } = begun.ok_or(LaunchError::ThreadDied)??;
    let record_error = |name: &str| {
        let name = name.to_owned();
        move |source| LaunchError::Record { name, source }
    };
    let mut status = StatusPipe::new(status).map_err(record_error(&remains.name))?;
    let init = timeout(SETUP_TIMEOUT, status.child_pid()).await;
    let Ok(Some(init)) = init else {
        return Err(setup_error(&mut started).await);
    };
    let (name, dir) = (remains.name.clone(), remains.state_dir.clone());
    let groups = remains.group.dirs().map(Path::to_path_buf).collect();
    let leader_pid = started.pid;
    let identify = move || identify(&dir, &name, groups, (leader_pid, init));
    let found = spawner.run(identify).await;
    let (init, init_process) = found
        .ok_or(LaunchError::ThreadDied)?
        .map_err(record_error(&remains.name))?;
    let control = Control::new(Tree::Space {
        leader: started.pidfd,
        init,
        init_process,
    });
    remains.control = Some(control.clone());
    Ok(Running {
        child: started.child,
        control,
        status: Some(status),
        started: at,
        bounds,
        remains,
    })
}

/// Takes hold of the first process inside and records it, unless it ended already.
fn identify(
    dir: &Path,
    name: &str,
    groups: Vec<PathBuf>,
    (leader, init): (Pid, Pid),
) -> io::Result<(Option<OwnedFd>, Option<Process>)> {
    let fd = match rustix::process::pidfd_open(init, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => None,
        other => Some(other?),
    };
    let marker = Marker {
        leader: Process::live(leader),
        init: fd.as_ref().and_then(|_| Process::live(init)),
        groups,
    };
    marker::record(dir, name, &marker)?;
    Ok((fd, marker.init))
}

/// What bubblewrap complained about before it forked.
async fn setup_error(started: &mut Started) -> LaunchError {
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
    LaunchError::Setup { message }
}

impl Inner {
    /// Everything that blocks, on the spawning thread.
    fn begin(&self, launch: &Launch) -> Result<Begun, LaunchError> {
        let at = Instant::now();
        let remains = self.base.claim(launch)?;
        let uid = self.user_of(&launch.workspace)?;
        let shields = protect::prepare(&launch.workspace, &launch.protected, launch.access)
            .map_err(|(path, source)| LaunchError::Protect { path, source })?;
        let record = |source: rustix::io::Errno| LaunchError::Record {
            name: launch.name.clone(),
            source: source.into(),
        };
        let (status, status_out) = pipe_with(PipeFlags::CLOEXEC).map_err(record)?;
        let site = Site {
            uid,
            hidden: &self.base.hidden,
            status: status_out,
        };
        let plan = args::plan(launch, &shields, site)?;
        let groups = remains.group.join_files().map_err(LaunchError::Limits)?;
        let Plan {
            args,
            keep,
            stage,
            sources,
        } = plan;
        let started = start(Order {
            program: self.program.clone(),
            args,
            // What bubblewrap itself is started with shows inside as the environment of process 1.
            env: Vec::new(),
            entry: EntryPlan {
                groups,
                stage,
                rlimits: self.base.rlimits(&launch.limits, uid.is_some()),
                uid,
                directory: c"/".to_owned(),
                keep,
            },
        })
        .map_err(|error| self.start_error(error, &sources))?;
        Ok(Begun {
            started,
            status,
            remains,
            at,
            bounds: Bounds::of(launch),
        })
    }

    /// The user to become: the workspace's owner when started as root, nobody else otherwise.
    fn user_of(&self, workspace: &Path) -> Result<Option<Uid>, LaunchError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let (uid, _) = workspace::owner(workspace).map_err(|source| LaunchError::Source {
            path: workspace.into(),
            source,
        })?;
        if !self.users.adopt(workspace, uid) {
            return Err(LaunchError::NotPrepared {
                path: workspace.into(),
            });
        }
        Ok(Some(uid))
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
            Step::OpenSource(n) | Step::BindSource(n) => sources.get(usize::from(n)).cloned(),
            _ => None,
        };
        LaunchError::Entry { step, path, source }
    }
}
