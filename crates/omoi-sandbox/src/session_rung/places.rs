//! Where the places of a sandbox lie for a program that shares the host's file system.

use std::path::{Path, PathBuf};

use crate::base::RungBase;
use crate::pidfile;
use crate::policy::{SandboxLaunch, inside};

/// The root of the stage: world-traversable on every host, and covered in the sandbox's mounts only.
pub(super) const STAGE: &str = "/tmp";
/// A folder of its own below, for the names of others that are shown at the same place.
pub(super) const STAGED: &str = "/tmp/.omoi";

/// A place of [`inside`] on the host and as the program finds it.
#[derive(Clone, Debug)]
pub(super) struct HostPlace {
    inside: PathBuf,
    /// Its source on the host.
    pub(super) host: PathBuf,
    /// What the program calls it.
    pub(super) shown: PathBuf,
}

/// All places of one launch.
#[derive(Clone, Debug)]
pub(super) struct HostPlaces {
    /// Inner ones first.
    pub(super) own: Vec<HostPlace>,
    mounts: Vec<(PathBuf, PathBuf)>,
}

impl HostPlaces {
    /// The places of `launch`; staged ones are bound where another user can reach them.
    pub(super) fn of_launch(base: &RungBase, launch: &SandboxLaunch, is_staged: bool) -> Self {
        let scratch = pidfile::scratch_dir(&base.state_dir, &launch.name);
        let own = [
            (inside::SOCKET, launch.socket.clone(), "omoi.sock"),
            (inside::WORKER, launch.worker.clone(), "omoi"),
            (inside::WORK, Some(launch.workspace.clone()), "work"),
            (inside::HOME, Some(scratch.join("home")), "home"),
            (inside::TEMP, Some(scratch.join("tmp")), "tmp"),
            ("/run", Some(scratch.join("run")), "run"),
        ];
        let own = own.into_iter().filter_map(|(at, host, name)| {
            let host = host?;
            let shown = match is_staged {
                true => Path::new(STAGED).join(name),
                false => host.clone(),
            };
            Some(HostPlace {
                inside: at.into(),
                host,
                shown,
            })
        });
        let mounts = launch.read_only.iter();
        Self {
            own: own.collect(),
            mounts: mounts.map(|m| (m.inside.clone(), m.host.clone())).collect(),
        }
    }

    /// What the program calls `path`, a path of the policy.
    pub(super) fn shown_path(&self, path: &Path) -> PathBuf {
        let own = self.own.iter().map(|place| (&place.inside, &place.shown));
        let mounts = self.mounts.iter().map(|(at, host)| (at, host));
        own.chain(mounts)
            .find_map(|(at, shown)| {
                let rest = path.strip_prefix(at).ok()?;
                // Joining nothing would leave a slash behind, which no file has.
                Some(if rest.as_os_str().is_empty() {
                    shown.clone()
                } else {
                    shown.join(rest)
                })
            })
            .unwrap_or_else(|| path.into())
    }
}
