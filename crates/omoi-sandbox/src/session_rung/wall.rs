//! Landlock and the system-call filter around a program among those of the host.

use std::collections::BTreeSet;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Uid;

use super::places::{HostPlaces, STAGE, STAGED};
use crate::base::RungBase;
use crate::bubblewrap::args::orders_file;
use crate::child::{MountStage, is_dir};
use crate::entry::{EntryOrders, EntryProgram};
use crate::landlock::{LandlockRules, PathAccess, PathGrant};
use crate::mount_check;
use crate::policy::{SandboxLaunch, WorkspaceAccess, inside};
use crate::process::fd_number;
use crate::provider::LaunchError;
use crate::seccomp::FilterScope;

/// Parts of the system that every program needs. Landlock takes nothing away below what it grants, so
/// folders with anything private in them are not here.
const SYSTEM: &[(&str, PathAccess)] = &[
    ("/usr", PathAccess::Execute),
    ("/bin", PathAccess::Execute),
    ("/sbin", PathAccess::Execute),
    ("/lib", PathAccess::Execute),
    ("/lib32", PathAccess::Execute),
    ("/lib64", PathAccess::Execute),
    ("/libx32", PathAccess::Execute),
    ("/etc/alternatives", PathAccess::Read),
    ("/etc/ssl/certs", PathAccess::Read),
    ("/etc/ssl/openssl.cnf", PathAccess::Read),
    ("/etc/pki/tls/certs", PathAccess::Read),
    ("/etc/pki/ca-trust/extracted", PathAccess::Read),
    ("/etc/ca-certificates/extracted", PathAccess::Read),
    ("/etc/ld.so.cache", PathAccess::Read),
    ("/proc", PathAccess::Read),
    ("/dev/null", PathAccess::Device),
    ("/dev/zero", PathAccess::Device),
    ("/dev/full", PathAccess::Device),
    ("/dev/random", PathAccess::Device),
    ("/dev/urandom", PathAccess::Device),
    ("/dev/tty", PathAccess::Device),
];

/// What a launch is started with.
pub(super) struct WalledStart {
    pub(super) argv: Vec<OsString>,
    pub(super) keep: Vec<OwnedFd>,
    pub(super) stage: Option<MountStage>,
    pub(super) report: Option<OwnedFd>,
}

impl WalledStart {
    /// One without a wall.
    pub(super) fn without_wall(argv: Vec<OsString>) -> Self {
        Self {
            argv,
            keep: Vec::new(),
            stage: None,
            report: None,
        }
    }
}

/// Who starts a program, and as whom.
#[derive(Clone, Copy)]
pub(super) struct StartSite<'a> {
    pub(super) base: &'a RungBase,
    pub(super) uid: Option<Uid>,
}

/// Landlock as the first wall.
#[derive(Clone, Debug)]
pub(crate) struct HostWall {
    pub(super) entry: EntryProgram,
    /// The kernel's version of Landlock.
    pub(super) abi: i32,
}

impl HostWall {
    /// Plans the start of `argv` behind this wall.
    pub(super) fn plan_start(
        &self,
        launch: &SandboxLaunch,
        places: &HostPlaces,
        argv: Vec<OsString>,
        site: StartSite<'_>,
    ) -> Result<WalledStart, LaunchError> {
        let mounts = checked_mounts(launch, site)?;
        for file in &launch.files {
            mount_check::check_file(file)?;
        }
        if let Some(socket) = &launch.socket {
            mount_check::check_socket(&mount_check::canonical_source(socket)?, site.uid)?;
        }
        let program = mount_check::canonical_source(&self.entry.program)?;
        for program in launch.worker.iter().chain([&program]) {
            mount_check::check_readable(program, site.uid)?;
        }
        let orders = EntryOrders {
            landlock: Some(self.rules_for(launch, places, &mounts)),
            filter: Some(FilterScope::HostSpaces),
            env: None,
            own_user: None,
        };
        let record = |source: io::Error| LaunchError::Record {
            name: launch.name.clone(),
            source,
        };
        let orders = orders_file(&orders).map_err(record)?;
        let (ours, report) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| record(e.into()))?;
        let (shown, stage) = match site.uid {
            Some(uid) => {
                let mut stage = StageBuilder::new()?;
                for place in &places.own {
                    stage.add_source(&place.host, &place.shown)?;
                }
                let shown = Path::new(STAGED).join("omoi-entry");
                stage.add_source(&program, &shown)?;
                for mount in &mounts {
                    stage.add_mount(mount, uid)?;
                }
                (shown, Some(stage.stage))
            }
            None => (program, None),
        };
        let (orders_fd, report_fd) = (fd_number(&orders), fd_number(&report));
        let words = self
            .entry
            .followed_words(shown.into(), orders_fd, report_fd, &argv);
        Ok(WalledStart {
            argv: words,
            keep: vec![orders, report],
            stage,
            report: Some(ours),
        })
    }

    fn rules_for(
        &self,
        launch: &SandboxLaunch,
        places: &HostPlaces,
        mounts: &[PathBuf],
    ) -> LandlockRules {
        let system = SYSTEM.iter().copied();
        let mut grants: Vec<PathGrant> = system
            .map(|(path, access)| PathGrant::new(path, access))
            .collect();
        grants.extend(
            mounts
                .iter()
                .map(|path| PathGrant::new(path, PathAccess::Execute)),
        );
        let work = match launch.access {
            WorkspaceAccess::ReadWrite => PathAccess::Write,
            WorkspaceAccess::ReadOnly => PathAccess::Execute,
        };
        let own = [
            (inside::WORK, work),
            (inside::HOME, PathAccess::Write),
            (inside::TEMP, PathAccess::Write),
            ("/run", PathAccess::Read),
            (inside::WORKER, PathAccess::Execute),
            (inside::SOCKET, PathAccess::Connect),
        ];
        let own = own.into_iter();
        grants.extend(
            own.map(|(path, access)| PathGrant::new(places.shown_path(path.as_ref()), access)),
        );
        LandlockRules {
            abi: self.abi,
            grants,
            without_tcp: true,
        }
    }
}

/// Sources of the listed mounts, outer folders first and without those below another.
fn checked_mounts(
    launch: &SandboxLaunch,
    site: StartSite<'_>,
) -> Result<Vec<PathBuf>, LaunchError> {
    let mut all = BTreeSet::new();
    for mount in &launch.read_only {
        all.insert(mount_check::check_mount(
            mount,
            &site.base.hidden,
            site.uid,
        )?);
    }
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in all {
        if !kept.iter().any(|outer| path.starts_with(outer)) {
            kept.push(path);
        }
    }
    Ok(kept)
}

/// Gathers what another user cannot reach where it lies.
struct StageBuilder {
    stage: MountStage,
    made: BTreeSet<PathBuf>,
}

impl StageBuilder {
    fn new() -> Result<Self, LaunchError> {
        let mut builder = Self {
            stage: MountStage::new(c_path(Path::new(STAGE))?),
            made: BTreeSet::new(),
        };
        builder.add_folders(Path::new(STAGE), Path::new(STAGED))?;
        Ok(builder)
    }

    fn add_source(&mut self, host: &Path, shown: &Path) -> Result<(), LaunchError> {
        let is_dir = is_dir(host).map_err(|source| LaunchError::Source {
            path: host.into(),
            source,
        })?;
        self.stage.add_source(c_path(host)?, c_path(shown)?, is_dir);
        Ok(())
    }

    /// Shows `host` at its own place, where `uid` could not go or where the stage covers it.
    fn add_mount(&mut self, host: &Path, uid: Uid) -> Result<(), LaunchError> {
        let Some(cover) = mount_check::blocking_ancestor(host, uid, Path::new(STAGE)) else {
            return Ok(());
        };
        if cover != Path::new(STAGE) && self.made.insert(cover.clone()) {
            self.stage.add_cover(c_path(&cover)?);
        }
        if let Some(parent) = host.parent() {
            self.add_folders(&cover, parent)?;
        }
        self.add_source(host, host)
    }

    /// Makes the folders from below `cover` down to `to`.
    fn add_folders(&mut self, cover: &Path, to: &Path) -> Result<(), LaunchError> {
        let mut missing: Vec<&Path> = to.ancestors().take_while(|dir| *dir != cover).collect();
        missing.reverse();
        for dir in missing {
            if self.made.insert(dir.into()) {
                self.stage.add_folder(c_path(dir)?);
            }
        }
        Ok(())
    }
}

fn c_path(path: &Path) -> Result<CString, LaunchError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| LaunchError::ZeroByte)
}
