//! The `container` rung: the same policy, made by an engine that speaks Docker's HTTP interface.

mod engine;
mod frames;
mod image;
mod own_image;
mod spec;
mod verify;

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

use rustix::process::{Gid, Pid, PidfdFlags, Uid};
use serde_json::Value;
use tokio::io::{ReadHalf, SimplexStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use omoi_domain::sandbox::SandboxRung;

use self::engine::{ContainerEngine, remove_blocking};
use self::frames::{OutputWriters, pass_frames};
use self::spec::{ContainerPlan, ContainerSite, EngineUsers, plan_container, report_path};
use crate::base::{self, RungBase};
use crate::bubblewrap::protect;
use crate::control::{ProcessTree, SandboxControl};
use crate::entry::{EntryProgram, NOT_RUN};
use crate::leader::Leader;
use crate::overlay::OverlayRefusal;
use crate::pidfile::{self, ProcessIdentity, SandboxPidfile};
use crate::policy::{LaunchStreams, SandboxLaunch};
use crate::property::{Property, PropertyStatus};
use crate::provider::{BoxFuture, LaunchError, Provider};
use crate::remains::SandboxRemains;
use crate::running::{RunBounds, RunningSandbox};
use crate::workspace::{self, WorkspaceError};

pub use self::engine::EngineError;
pub use self::own_image::ImageSource;
pub(crate) use self::verify::find_container;

/// More than the entry step ever reports.
const REPORT_BYTES_MAX: u64 = 4 << 10;
/// Bytes of output that wait for a reader.
const OUTPUT_BYTES: usize = 64 << 10;

/// Runs programs in containers of an engine on this host.
#[derive(Clone, Debug)]
pub(crate) struct ContainerRung {
    inner: Arc<ContainerInner>,
    version: String,
    properties: Vec<(Property, PropertyStatus)>,
    /// Why a container would not see a workspace that is laid over another folder.
    unseen: Option<String>,
}

#[derive(Debug)]
struct ContainerInner {
    base: RungBase,
    engine: ContainerEngine,
    image: String,
    /// Whether the image is a person's own, and the host's programs stay outside.
    is_own_image: bool,
    entry: EntryProgram,
    users: EngineUsers,
    /// Landlock's version inside, where it can be used.
    abi: Option<i32>,
}

impl Provider for ContainerRung {
    fn rung(&self) -> SandboxRung {
        SandboxRung::Container
    }

    fn rung_version(&self) -> &str {
        &self.version
    }

    fn held_properties(&self) -> &[(Property, PropertyStatus)] {
        &self.properties
    }

    fn launch(&self, launch: SandboxLaunch) -> BoxFuture<'_, Result<RunningSandbox, LaunchError>> {
        Box::pin(launch_container(Arc::clone(&self.inner), launch))
    }

    fn path_inside(&self, _launch: &SandboxLaunch, path: &Path) -> PathBuf {
        path.into()
    }

    fn overlay_support(&self) -> Result<(), OverlayRefusal> {
        base::check_overlay_support()?;
        match &self.unseen {
            Some(why) => Err(OverlayRefusal::Unseen(why.clone())),
            None => Ok(()),
        }
    }

    fn lay_workspace(&self, dir: &Path, lowers: &[&Path]) -> Result<(), OverlayRefusal> {
        self.overlay_support()?;
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
        remove_container(self.inner.engine.socket_path(), name)?;
        pidfile::destroy_leftovers(&self.inner.base.state_dir, name, &self.inner.base.users)
    }
}

/// A launch whose files are written.
struct PreparedLaunch {
    remains: SandboxRemains,
    spec: Value,
    scratch: PathBuf,
    at: Instant,
    bounds: RunBounds,
}

impl ContainerInner {
    /// Everything that blocks, on the spawning thread.
    fn prepare_launch(&self, launch: &SandboxLaunch) -> Result<PreparedLaunch, LaunchError> {
        let at = Instant::now();
        if launch.streams == LaunchStreams::Inherited {
            return Err(LaunchError::NoTerminal);
        }
        let remains = self.base.claim_without_groups(launch)?;
        let uid = self.base.sandbox_user(&launch.workspace)?;
        let shields = protect::prepare_paths(&launch.workspace, &launch.protected, launch.access)
            .map_err(|(path, source)| LaunchError::Protect { path, source })?;
        let scratch = pidfile::scratch_dir(&self.base.state_dir, &launch.name);
        let site = ContainerSite {
            base: &self.base,
            image: &self.image,
            is_own_image: self.is_own_image,
            entry: &self.entry,
            abi: self.abi,
            uid: uid.unwrap_or_else(rustix::process::geteuid).as_raw(),
            users: self.users,
            scratch: &scratch,
        };
        let ContainerPlan { spec, files } = plan_container(launch, &shields, &site)?;
        let record = |source: io::Error| LaunchError::Record {
            name: launch.name.clone(),
            source,
        };
        write_files(&scratch, &files, uid).map_err(record)?;
        // Before the engine is asked: a later start may have another rung.
        let pidfile = SandboxPidfile {
            engine: Some(self.engine.socket_path().to_path_buf()),
            ..SandboxPidfile::default()
        };
        pidfile::write_pidfile(&self.base.state_dir, &launch.name, &pidfile).map_err(record)?;
        Ok(PreparedLaunch {
            remains,
            spec,
            scratch,
            at,
            bounds: RunBounds::for_launch(launch),
        })
    }
}

/// Writes what is bound into the container, and gives it to its user.
fn write_files(scratch: &Path, files: &[spec::PlannedFile], uid: Option<Uid>) -> io::Result<()> {
    let private = |dir: &Path, mode| fs::DirBuilder::new().recursive(true).mode(mode).create(dir);
    private(scratch, 0o700)?;
    private(&scratch.join("empty"), 0o555)?;
    for file in files {
        let mut options = fs::OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(file.mode);
        options.open(&file.path)?.write_all(&file.contents)?;
    }
    match uid {
        Some(uid) => workspace::give_tree(scratch, uid, Gid::from_raw(uid.as_raw()))
            .map_err(io::Error::other),
        None => Ok(()),
    }
}

async fn launch_container(
    inner: Arc<ContainerInner>,
    launch: SandboxLaunch,
) -> Result<RunningSandbox, LaunchError> {
    let (preparing, spawner) = (Arc::clone(&inner), inner.base.spawner.clone());
    let prepared = spawner
        .run_job(move || preparing.prepare_launch(&launch))
        .await;
    let PreparedLaunch {
        mut remains,
        spec,
        scratch,
        at,
        bounds,
    } = prepared.ok_or(LaunchError::ThreadDied)??;
    let (engine, name) = (&inner.engine, remains.name.clone());
    engine.create_container(&name, &spec).await?;
    let output = engine.attach_output(&name).await?;
    engine.start_container(&name).await?;
    let state = engine.container_state(&name).await?;
    let init = state.get("Pid").and_then(Value::as_i64).unwrap_or_default();
    let record = InitRecord {
        dir: remains.state_dir.clone(),
        name: name.clone(),
        engine: engine.socket_path().to_path_buf(),
    };
    let found = spawner.run_job(move || record.record_init(init)).await;
    let found = found.ok_or(LaunchError::ThreadDied)?;
    let (init, init_process) = found.map_err(|source| LaunchError::Record {
        name: name.clone(),
        source,
    })?;
    let control = SandboxControl::new(ProcessTree::Container { init, init_process });
    remains.control = Some(control.clone());
    bounds.log_start(&name, SandboxRung::Container, at);
    let leader = ContainerLeader::follow(engine.clone(), name, output, report_path(&scratch));
    Ok(RunningSandbox {
        leader: Leader::Container(leader),
        control,
        started: at,
        bounds,
        remains,
    })
}

/// Where the first process of a container is recorded.
struct InitRecord {
    dir: PathBuf,
    name: String,
    engine: PathBuf,
}

impl InitRecord {
    /// Takes hold of the first process inside and records it, unless it ended already.
    fn record_init(self, init: i64) -> io::Result<(Option<OwnedFd>, Option<ProcessIdentity>)> {
        let init = i32::try_from(init).ok().and_then(Pid::from_raw);
        let fd = init.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        let pidfile = SandboxPidfile {
            init: init
                .filter(|_| fd.is_some())
                .and_then(ProcessIdentity::of_live),
            engine: Some(self.engine),
            ..SandboxPidfile::default()
        };
        pidfile::write_pidfile(&self.dir, &self.name, &pidfile)?;
        Ok((fd, pidfile.init))
    }
}

/// A container whose end is awaited.
#[derive(Debug)]
pub(crate) struct ContainerLeader {
    engine: ContainerEngine,
    name: String,
    pub(crate) stdout: Option<ReadHalf<SimplexStream>>,
    pub(crate) stderr: Option<ReadHalf<SimplexStream>>,
    exit: watch::Receiver<Option<Result<i32, String>>>,
    report: PathBuf,
    /// Wait for the end and pass the output on; they end with this.
    _tasks: JoinSet<()>,
}

impl ContainerLeader {
    fn follow(
        engine: ContainerEngine,
        name: String,
        output: reqwest::Response,
        report: PathBuf,
    ) -> Self {
        let (stdout, stdout_in) = tokio::io::simplex(OUTPUT_BYTES);
        let (stderr, stderr_in) = tokio::io::simplex(OUTPUT_BYTES);
        let (ended, exit) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let writers = OutputWriters {
            stdout: stdout_in,
            stderr: stderr_in,
        };
        tasks.spawn(pass_frames(output, writers));
        let (asked, of) = (engine.clone(), name.clone());
        tasks.spawn(async move {
            let code = asked.wait_container(&of).await;
            ended.send_replace(Some(code.map_err(|error| error.to_string())));
        });
        Self {
            engine,
            name,
            stdout: Some(stdout),
            stderr: Some(stderr),
            exit,
            report,
            _tasks: tasks,
        }
    }

    /// Waits until it is gone.
    pub(crate) async fn leader_ended(&mut self) -> io::Result<()> {
        let gone = self.exit.wait_for(Option::is_some).await;
        gone.map(drop)
            .map_err(|_| io::Error::other("nobody waits for the container any more"))
    }

    /// Its exit code, once it ended.
    pub(crate) fn exit_code(&self) -> io::Result<i32> {
        match &*self.exit.borrow() {
            Some(Ok(code)) => Ok(*code),
            Some(Err(message)) => Err(io::Error::other(message.clone())),
            None => Err(io::Error::other("the container has not ended")),
        }
    }

    /// Why the program was never started; none when it was.
    pub(crate) fn entry_report(&self) -> Option<String> {
        let code = self.exit_code().ok()?;
        read_report(&self.report, code)
    }

    /// Whether the kernel killed one of its processes for want of memory.
    pub(crate) async fn out_of_memory(&self) -> bool {
        let state = self.engine.container_state(&self.name).await;
        let killed = state
            .ok()
            .and_then(|state| state.get("OOMKilled")?.as_bool());
        killed.unwrap_or_default()
    }
}

/// What the entry step left in `report`, which it does only when it ends with a code of its own.
///
/// Without Landlock the program can write there too, and so pass for one that was never started; with it
/// it cannot.
fn read_report(report: &Path, code: i32) -> Option<String> {
    if code != i32::from(NOT_RUN) {
        return None;
    }
    let mut said = Vec::new();
    let file = fs::File::open(report).ok()?;
    file.take(REPORT_BYTES_MAX).read_to_end(&mut said).ok()?;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    (!said.is_empty()).then_some(said)
}

/// Removes the container `name` of the engine at `socket`, if it is there.
pub(crate) fn remove_container(socket: &Path, name: &str) -> io::Result<()> {
    // A thread of its own: the caller's may belong to a runtime already.
    let removed = std::thread::scope(|scope| {
        let removing = scope.spawn(|| remove_blocking(socket, name));
        removing.join()
    });
    let died = |_| io::Error::other("the thread that removes a container died");
    removed.map_err(died)?.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use super::*;

    #[test]
    fn a_report_counts_only_from_the_entry_step_and_is_never_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let report = dir.path().join("report");
        let not_run = i32::from(NOT_RUN);
        assert_eq!(read_report(&report, not_run), None);
        fs::write(&report, "could not run `x`\n").unwrap();
        let said = read_report(&report, not_run);
        assert_eq!(said.as_deref(), Some("could not run `x`"));
        for code in [0, 1, 137] {
            assert_eq!(read_report(&report, code), None, "{code}");
        }
        fs::File::create(&report).unwrap().set_len(2 << 30).unwrap();
        let said = read_report(&report, not_run).unwrap();
        assert_eq!(said.len() as u64, REPORT_BYTES_MAX);
    }
}
