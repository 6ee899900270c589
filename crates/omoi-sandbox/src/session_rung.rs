//! The rungs whose programs are sessions of ordinary processes among those of the host: `landlock`, which
//! keeps files and sockets from them, and `process`, which isolates nothing.

mod places;
mod verify;
mod wall;

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

use rustix::process::{Gid, Uid};

use omoi_domain::sandbox::SandboxRung;

use self::places::HostPlaces;
use self::wall::{HostWall, StartSite, WalledStart};
use crate::base::{self, RungBase};
use crate::bubblewrap::status::StatusPipe;
use crate::cgroup::CgroupController;
use crate::control::{ProcessTree, SandboxControl};
use crate::leader::{Leader, ProcessLeader};
use crate::overlay::OverlayRefusal;
use crate::pidfile::{self, ProcessIdentity, SandboxPidfile};
use crate::policy::{SandboxLaunch, inside};
use crate::process::{EntryPlan, StartError, StartRequest, end_signal, start_program};
use crate::property::{Property, PropertyStatus};
use crate::provider::{BoxFuture, LaunchError, Provider};
use crate::remains::SandboxRemains;
use crate::running::{RunBounds, RunningSandbox};
use crate::workspace::{self, WorkspaceError};

pub(crate) use self::verify::find_landlock;

/// Runs programs among the processes of the host.
#[derive(Clone, Debug)]
pub(crate) struct SessionRung {
    base: RungBase,
    /// What keeps them from the host; none for projects whose floor allows that.
    wall: Option<HostWall>,
    version: String,
    properties: Vec<(Property, PropertyStatus)>,
}

impl SessionRung {
    /// The rung `process`.
    pub(crate) fn without_wall(base: &RungBase) -> Self {
        let held = |property: Property| match base.cgroups.property_status(property) {
            // A program can leave the session that is watched.
            Some(held) => held,
            None if property == Property::FileSize => PropertyStatus::Yes,
            None if matches!(property, Property::WorkspaceSize | Property::TempSize) => {
                PropertyStatus::ByWatcher
            }
            None => PropertyStatus::not_held("a plain process is not isolated"),
        };
        Self {
            base: base.clone(),
            wall: None,
            version: format!("plain process, Linux {}", base::kernel_release()),
            properties: Property::ALL.iter().map(|p| (*p, held(*p))).collect(),
        }
    }

    /// The user to become; with a wall only.
    fn user_of(&self, workspace: &Path) -> Result<Option<Uid>, LaunchError> {
        match self.wall {
            Some(_) => self.base.sandbox_user(workspace),
            None => Ok(None),
        }
    }
}

impl Provider for SessionRung {
    fn rung(&self) -> SandboxRung {
        match self.wall {
            Some(_) => SandboxRung::Landlock,
            None => SandboxRung::Process,
        }
    }

    fn rung_version(&self) -> &str {
        &self.version
    }

    fn held_properties(&self) -> &[(Property, PropertyStatus)] {
        &self.properties
    }

    fn launch(&self, launch: SandboxLaunch) -> BoxFuture<'_, Result<RunningSandbox, LaunchError>> {
        let rung = self.clone();
        Box::pin(async move {
            let spawner = rung.base.spawner.clone();
            let begun = spawner.run_job(move || begin_session(&rung, &launch)).await;
            begun.ok_or(LaunchError::ThreadDied)?
        })
    }

    fn path_inside(&self, launch: &SandboxLaunch, path: &Path) -> PathBuf {
        // Whether a workspace is ready for its user shows when it is launched.
        let is_staged = self.wall.is_some() && rustix::process::geteuid().is_root();
        HostPlaces::of_launch(&self.base, launch, is_staged).shown_path(path)
    }

    fn overlay_support(&self) -> Result<(), OverlayRefusal> {
        match self.wall {
            Some(_) => base::check_overlay_support(),
            None => Err(OverlayRefusal::NoOwnUser),
        }
    }

    fn lay_workspace(&self, dir: &Path, lowers: &[&Path]) -> Result<(), OverlayRefusal> {
        self.overlay_support()?;
        self.base.lay_workspace(dir, lowers)
    }

    fn prepare_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        match self.wall {
            Some(_) => self.base.prepare_workspace(dir),
            None => Ok(()),
        }
    }

    fn changed_files(&self, dir: &Path) -> Option<Arc<OwnedFd>> {
        self.base.changed_files(dir)
    }

    fn remove_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        self.base.remove_workspace(dir)
    }

    fn list_orphans(&self) -> io::Result<Vec<String>> {
        self.base.orphan_names()
    }

    fn destroy_sandbox(&self, name: &str) -> io::Result<bool> {
        pidfile::destroy_leftovers(&self.base.state_dir, name, &self.base.users)
    }
}

fn begin_session(
    rung: &SessionRung,
    launch: &SandboxLaunch,
) -> Result<RunningSandbox, LaunchError> {
    let (at, base) = (Instant::now(), &rung.base);
    let mut remains = base.claim_name(launch)?;
    let name = launch.name.clone();
    let record = |source: io::Error| LaunchError::Record {
        name: name.clone(),
        source,
    };
    let uid = rung.user_of(&launch.workspace)?;
    let scratch = prepare_scratch(base, launch, uid)?;
    let mut pidfile = SandboxPidfile {
        groups: remains.group.group_dirs().map(Path::to_path_buf).collect(),
        user: uid,
        ..SandboxPidfile::default()
    };
    pidfile::write_pidfile(&base.state_dir, &name, &pidfile).map_err(record)?;
    let (mut request, report) = plan_start(rung, launch, &remains, uid)?;
    let mounts = base.leave_others_out(&mut request.entry.stage, &launch.workspace)?;
    let program = request.program.clone();
    let is_followed = request.is_follower;
    let started = start_program(request).map_err(|error| start_error(error, program))?;
    drop(mounts);
    let watched = started.pidfd.try_clone();
    let Some(leader_process) = ProcessIdentity::of_live(started.pid) else {
        let _ = rustix::process::pidfd_send_signal(&started.pidfd, end_signal(is_followed));
        return Err(record(io::Error::from(io::ErrorKind::NotFound)));
    };
    let control = SandboxControl::new(ProcessTree::Session {
        leader: started.pidfd,
        leader_process,
        is_followed,
        // Sandboxes over one workspace share its user, so that a limit group counts better.
        user: uid.filter(|_| !base.cgroups.has_controller(CgroupController::Memory)),
    });
    // From now on whatever goes wrong ends it.
    remains.control = Some(control.clone());
    pidfile.leader = Some(leader_process);
    pidfile::write_pidfile(&base.state_dir, &name, &pidfile).map_err(record)?;
    let watched = watched.map_err(record)?;
    let mut leader = ProcessLeader::follow_process(started.child, watched).map_err(record)?;
    leader.is_followed = is_followed;
    let bounds = RunBounds::for_launch(launch).with_scratch(scratch);
    bounds.log_start(&name, rung.rung(), at);
    leader.report = report.map(StatusPipe::new).transpose().map_err(record)?;
    Ok(RunningSandbox {
        leader: Leader::Process(Box::new(leader)),
        control,
        started: at,
        bounds,
        remains,
    })
}

/// What is started, and where the entry step reports when there is one.
fn plan_start(
    rung: &SessionRung,
    launch: &SandboxLaunch,
    remains: &SandboxRemains,
    uid: Option<Uid>,
) -> Result<(StartRequest, Option<OwnedFd>), LaunchError> {
    let base = &rung.base;
    let places = HostPlaces::of_launch(base, launch, uid.is_some());
    let home = places.shown_path(inside::HOME.as_ref());
    let mut env = base::launch_environment(launch, home.as_os_str());
    if !env.iter().any(|(key, _)| key == "TMPDIR") {
        let temp = places.shown_path(inside::TEMP.as_ref());
        env.push(("TMPDIR".into(), temp.into()));
    }
    let cwd = places.shown_path(&launch.cwd);
    let directory =
        std::ffi::CString::new(cwd.as_os_str().as_bytes()).map_err(|_| LaunchError::ZeroByte)?;
    let mut argv = launch.argv.clone();
    argv[0] = places.shown_path(Path::new(&argv[0])).into();
    let WalledStart {
        argv,
        keep,
        stage,
        report,
    } = match &rung.wall {
        Some(wall) => wall.plan_start(launch, &places, argv, StartSite { base, uid })?,
        None => WalledStart::without_wall(argv),
    };
    let request = StartRequest {
        program: argv[0].clone().into(),
        shown_as: None,
        args: argv[1..].to_vec(),
        env,
        streams: launch.streams,
        is_follower: rung.wall.is_some(),
        entry: EntryPlan {
            groups: remains.group.join_files().map_err(LaunchError::Limits)?,
            stage,
            rlimits: base.process_limits(&launch.limits, uid.is_some()),
            uid,
            directory,
            keep,
        },
    };
    Ok((request, report))
}

fn start_error(StartError { step, source }: StartError, program: PathBuf) -> LaunchError {
    match step {
        Some(step) => LaunchError::Entry {
            step,
            path: None,
            source,
        },
        None => LaunchError::Program { program, source },
    }
}

/// Makes the scratch folders, writes the generated files below them, and gives all to `uid`.
fn prepare_scratch(
    base: &RungBase,
    launch: &SandboxLaunch,
    uid: Option<Uid>,
) -> Result<PathBuf, LaunchError> {
    let scratch = pidfile::scratch_dir(&base.state_dir, &launch.name);
    write_files(base, launch).map_err(|source| LaunchError::Record {
        name: launch.name.clone(),
        source,
    })?;
    if let Some(uid) = uid {
        let given = workspace::give_tree(&scratch, uid, Gid::from_raw(uid.as_raw()));
        given.map_err(|error| LaunchError::Record {
            name: launch.name.clone(),
            source: io::Error::other(error),
        })?;
    }
    Ok(scratch)
}

fn write_files(base: &RungBase, launch: &SandboxLaunch) -> io::Result<()> {
    let places = HostPlaces::of_launch(base, launch, false);
    let private = |dir: &Path| {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
    };
    for place in [inside::HOME, inside::TEMP, "/run"] {
        private(&places.shown_path(place.as_ref()))?;
    }
    for file in &launch.files {
        let path = places.shown_path(&file.path);
        if let Some(parent) = path.parent() {
            private(parent)?;
        }
        let mut to = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(file.mode)
            .open(&path)?;
        io::Write::write_all(&mut to, &file.contents)?;
    }
    Ok(())
}
