//! The `process` rung: an ordinary process of the platform's user. Unsafe: it isolates nothing.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, io};

use omoi_domain::sandbox::SandboxRung;

use crate::base::{self, Base};
use crate::marker::{self, Marker, Process};
use crate::policy::{Launch, inside};
use crate::process::{EntryPlan, Order, StartError, start};
use crate::property::{Held, Property};
use crate::provider::{BoxFuture, LaunchError, Provider};
use crate::running::{Bounds, Control, Running, Tree};
use crate::workspace::{self, WorkspaceError};

/// Runs programs without a sandbox, for projects whose floor allows it.
#[derive(Debug)]
pub(crate) struct Plain {
    base: Base,
    version: String,
    properties: Vec<(Property, Held)>,
}

impl Plain {
    pub(crate) fn new(base: &Base) -> Self {
        let held = |property: Property| match base.cgroups.held(property) {
            Some(held) if property == Property::Cpu => held,
            Some(held) => held.or_watched(),
            None if property == Property::FileSize => Held::Yes,
            None if property == Property::WorkspaceSize => Held::ByWatcher,
            None => Held::no("a plain process is not isolated"),
        };
        Self {
            base: base.clone(),
            version: format!("plain process, Linux {}", base::kernel_release()),
            properties: Property::ALL.iter().map(|p| (*p, held(*p))).collect(),
        }
    }
}

impl Provider for Plain {
    fn rung(&self) -> SandboxRung {
        SandboxRung::Process
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn properties(&self) -> &[(Property, Held)] {
        &self.properties
    }

    fn launch(&self, launch: Launch) -> BoxFuture<'_, Result<Running, LaunchError>> {
        let base = self.base.clone();
        Box::pin(async move {
            let spawner = base.spawner.clone();
            let begun = spawner.run(move || begin(&base, &launch)).await;
            begun.ok_or(LaunchError::ThreadDied)?
        })
    }

    fn path_inside(&self, launch: &Launch, path: &Path) -> PathBuf {
        on_host(&self.base, launch, path)
    }

    fn prepare_workspace(&self, _dir: &Path) -> Result<(), WorkspaceError> {
        Ok(())
    }

    fn reclaim_workspace(&self, _dir: &Path) -> Result<(), WorkspaceError> {
        Ok(())
    }

    fn remove_workspace(&self, dir: &Path) -> Result<(), WorkspaceError> {
        workspace::remove(dir)
    }

    fn orphans(&self) -> io::Result<Vec<String>> {
        self.base.orphans()
    }

    fn destroy(&self, name: &str) -> io::Result<bool> {
        marker::destroy(&self.base.state_dir, name)
    }
}

/// Where a path of the policy lies on the host.
fn on_host(base: &Base, launch: &Launch, path: &Path) -> PathBuf {
    let scratch = marker::scratch(&base.state_dir, &launch.name);
    let handed_in = [
        (inside::SOCKET, launch.socket.clone()),
        (inside::WORKER, launch.worker.clone()),
        (inside::WORK, Some(launch.workspace.clone())),
        (inside::HOME, Some(scratch.join("home"))),
        (inside::TEMP, Some(scratch.join("tmp"))),
        ("/run", Some(scratch.join("run"))),
    ];
    let handed_in = handed_in
        .into_iter()
        .filter_map(|(at, host)| Some((PathBuf::from(at), host?)));
    let mounts = launch.read_only.iter();
    handed_in
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

fn begin(base: &Base, launch: &Launch) -> Result<Running, LaunchError> {
    let at = Instant::now();
    let mut remains = base.claim(launch)?;
    let name = launch.name.clone();
    let record = |source: io::Error| LaunchError::Record {
        name: name.clone(),
        source,
    };
    write_files(base, launch).map_err(record)?;
    let mut marker = Marker {
        groups: remains.group.dirs().map(Path::to_path_buf).collect(),
        ..Marker::default()
    };
    marker::record(&base.state_dir, &name, &marker).map_err(record)?;

    let home = on_host(base, launch, inside::HOME.as_ref());
    let mut env = base::environment(launch, home.as_os_str());
    if !env.iter().any(|(key, _)| key == "TMPDIR") {
        let temp = on_host(base, launch, inside::TEMP.as_ref());
        env.push(("TMPDIR".into(), temp.into()));
    }
    let cwd = on_host(base, launch, &launch.cwd);
    let directory =
        std::ffi::CString::new(cwd.as_os_str().as_bytes()).map_err(|_| LaunchError::ZeroByte)?;
    let program = on_host(base, launch, Path::new(&launch.argv[0]));
    let started = start(Order {
        program: program.clone(),
        args: launch.argv[1..].to_vec(),
        env,
        entry: EntryPlan {
            groups: remains.group.join_files().map_err(LaunchError::Limits)?,
            stage: None,
            rlimits: base.rlimits(&launch.limits, false),
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
    let leader_process = Process::live(started.pid)
        .ok_or_else(|| record(io::Error::from(io::ErrorKind::NotFound)))?;
    marker.leader = Some(leader_process);
    marker::record(&base.state_dir, &name, &marker).map_err(record)?;
    let control = Control::new(Tree::Session {
        leader: started.pidfd,
        leader_process,
    });
    remains.control = Some(control.clone());
    Ok(Running {
        child: started.child,
        control,
        status: None,
        started: at,
        bounds: Bounds::of(launch),
        remains,
    })
}

/// Makes the scratch folders and writes the generated files below them.
fn write_files(base: &Base, launch: &Launch) -> io::Result<()> {
    let private = |dir: &Path| {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
    };
    for place in [inside::HOME, inside::TEMP, "/run"] {
        private(&on_host(base, launch, place.as_ref()))?;
    }
    for file in &launch.files {
        let path = on_host(base, launch, &file.path);
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
