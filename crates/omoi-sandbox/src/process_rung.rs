//! The `process` rung: an ordinary process of the platform's user. Unsafe: it isolates nothing.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, io};

use omoi_domain::sandbox::SandboxRung;

use crate::base::{self, RungBase};
use crate::control::{ProcessTree, SandboxControl};
use crate::pidfile::{self, ProcessIdentity, SandboxPidfile};
use crate::policy::{SandboxLaunch, inside};
use crate::process::{EntryPlan, StartError, StartRequest, start_program};
use crate::property::{Property, PropertyStatus};
use crate::provider::{BoxFuture, LaunchError, Provider};
use crate::running::{RunBounds, RunningSandbox};
use crate::workspace::{self, WorkspaceError};

/// Runs programs without a sandbox, for projects whose floor allows it.
#[derive(Debug)]
pub(crate) struct ProcessRung {
    base: RungBase,
    version: String,
    properties: Vec<(Property, PropertyStatus)>,
}

impl ProcessRung {
    pub(crate) fn new(base: &RungBase) -> Self {
        let held = |property: Property| match base.cgroups.property_status(property) {
            Some(held) if property == Property::Cpu => held,
            Some(held) => held.or_watched(),
            None if property == Property::FileSize => PropertyStatus::Yes,
            None if property == Property::WorkspaceSize => PropertyStatus::ByWatcher,
            None => PropertyStatus::not_held("a plain process is not isolated"),
        };
        Self {
            base: base.clone(),
            version: format!("plain process, Linux {}", base::kernel_release()),
            properties: Property::ALL.iter().map(|p| (*p, held(*p))).collect(),
        }
    }
}

impl Provider for ProcessRung {
    fn rung(&self) -> SandboxRung {
        SandboxRung::Process
    }

    fn rung_version(&self) -> &str {
        &self.version
    }

    fn held_properties(&self) -> &[(Property, PropertyStatus)] {
        &self.properties
    }

    fn launch(&self, launch: SandboxLaunch) -> BoxFuture<'_, Result<RunningSandbox, LaunchError>> {
        let base = self.base.clone();
        Box::pin(async move {
            let spawner = base.spawner.clone();
            let begun = spawner.run_job(move || begin_process(&base, &launch)).await;
            begun.ok_or(LaunchError::ThreadDied)?
        })
    }

    fn path_inside(&self, launch: &SandboxLaunch, path: &Path) -> PathBuf {
        host_path(&self.base, launch, path)
    }

    fn prepare_workspace(&self, _dir: &Path) -> Result<(), WorkspaceError> {
        Ok(())
    }

    fn reclaim_workspace(&self, _dir: &Path) -> Result<(), WorkspaceError> {
        Ok(())
    }

    fn remove_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        workspace::remove_tree(dir)
    }

    fn list_orphans(&self) -> io::Result<Vec<String>> {
        self.base.orphan_names()
    }

    fn destroy_sandbox(&self, name: &str) -> io::Result<bool> {
        pidfile::destroy_leftovers(&self.base.state_dir, name)
    }
}

/// Where a path of the policy lies on the host.
fn host_path(base: &RungBase, launch: &SandboxLaunch, path: &Path) -> PathBuf {
    let scratch = pidfile::scratch_dir(&base.state_dir, &launch.name);
    let places = [
        (inside::SOCKET, launch.socket.clone()),
        (inside::WORKER, launch.worker.clone()),
        (inside::WORK, Some(launch.workspace.clone())),
        (inside::HOME, Some(scratch.join("home"))),
        (inside::TEMP, Some(scratch.join("tmp"))),
        ("/run", Some(scratch.join("run"))),
    ];
    let places = places
        .into_iter()
        .filter_map(|(at, host)| Some((PathBuf::from(at), host?)));
    let mounts = launch.read_only.iter();
    places
        .chain(mounts.map(|m| (m.inside.clone(), m.host.clone())))
        .find_map(|(at, host)| {
            let rest = path.strip_prefix(at).ok()?;
            // Joining nothing would leave a slash behind, which no file has.
            Some(if rest.as_os_str().is_empty() {
                host
            } else {
                host.join(rest)
            })
        })
        .unwrap_or_else(|| path.into())
}

fn begin_process(base: &RungBase, launch: &SandboxLaunch) -> Result<RunningSandbox, LaunchError> {
    let at = Instant::now();
    let mut remains = base.claim_name(launch)?;
    let name = launch.name.clone();
    let record = |source: io::Error| LaunchError::Record {
        name: name.clone(),
        source,
    };
    write_files(base, launch).map_err(record)?;
    let mut pidfile = SandboxPidfile {
        groups: remains.group.group_dirs().map(Path::to_path_buf).collect(),
        ..SandboxPidfile::default()
    };
    pidfile::write_pidfile(&base.state_dir, &name, &pidfile).map_err(record)?;

    let home = host_path(base, launch, inside::HOME.as_ref());
    let mut env = base::launch_environment(launch, home.as_os_str());
    if !env.iter().any(|(key, _)| key == "TMPDIR") {
        let temp = host_path(base, launch, inside::TEMP.as_ref());
        env.push(("TMPDIR".into(), temp.into()));
    }
    let cwd = host_path(base, launch, &launch.cwd);
    let directory =
        std::ffi::CString::new(cwd.as_os_str().as_bytes()).map_err(|_| LaunchError::ZeroByte)?;
    let program = host_path(base, launch, Path::new(&launch.argv[0]));
    let started = start_program(StartRequest {
        program: program.clone(),
        args: launch.argv[1..].to_vec(),
        env,
        entry: EntryPlan {
            groups: remains.group.join_files().map_err(LaunchError::Limits)?,
            stage: None,
            rlimits: base.process_limits(&launch.limits, false),
            uid: None,
            directory,
            keep: Vec::new(),
        },
    })
    .map_err(|StartError { step, source }| match step {
        Some(step) => LaunchError::Entry {
            step,
            path: None,
            source,
        },
        None => LaunchError::Program { program, source },
    })?;
    let leader_process = ProcessIdentity::of_live(started.pid)
        .ok_or_else(|| record(io::Error::from(io::ErrorKind::NotFound)))?;
    pidfile.leader = Some(leader_process);
    pidfile::write_pidfile(&base.state_dir, &name, &pidfile).map_err(record)?;
    let control = SandboxControl::new(ProcessTree::Session {
        leader: started.pidfd,
        leader_process,
    });
    remains.control = Some(control.clone());
    let bounds = RunBounds::for_launch(launch);
    bounds.log_start(&name, SandboxRung::Process, at);
    Ok(RunningSandbox {
        child: started.child,
        control,
        status: None,
        report: None,
        started: at,
        bounds,
        remains,
    })
}

/// Makes the scratch folders and writes the generated files below them.
fn write_files(base: &RungBase, launch: &SandboxLaunch) -> io::Result<()> {
    let private = |dir: &Path| {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
    };
    for place in [inside::HOME, inside::TEMP, "/run"] {
        private(&host_path(base, launch, place.as_ref()))?;
    }
    for file in &launch.files {
        let path = host_path(base, launch, &file.path);
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
