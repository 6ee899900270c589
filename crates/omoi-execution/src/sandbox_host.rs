//! What sandboxes of this process are made with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use omoi_domain::egress::EgressMode;
use omoi_domain::reference::NamedProject;
use omoi_domain::sandbox::SandboxRung;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::{
    GuardRefusal, GuardedPlaces, MountSource, Provider, ReadOnlyMount, SandboxLimits,
};

use crate::deployment::{DeploymentParts, FromParts};
use crate::sandbox_egress::SandboxEgress;
use crate::sandbox_toolchain::SandboxToolchain;

/// The provider of sandboxes, and what each of them may see and use.
#[derive(Clone)]
pub struct SandboxHost {
    /// Where attempts run; none in a process that runs none.
    pub provider: Option<Arc<dyn Provider>>,
    /// Amounts of one sandbox.
    pub limits: SandboxLimits,
    /// Paths every sandbox of this deployment may read.
    pub read_only: Vec<PathBuf>,
    /// Places that are shown to no sandbox.
    pub guarded: GuardedPlaces,
    /// The way out of sandboxes; none where there is no proxy.
    pub egress: Option<SandboxEgress>,
}

impl FromParts for SandboxHost {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            provider: parts.sandbox.clone(),
            limits: parts.sandbox_limits,
            read_only: parts.read_only.clone(),
            guarded: parts.guarded.clone(),
            egress: parts.egress.clone(),
        }
    }
}

impl SandboxHost {
    /// How far an attempt of `mode` reaches here: it takes a proxy, and a sandbox with a loopback of its own.
    pub fn reached_mode(&self, mode: EgressMode) -> EgressMode {
        let rung = self.provider.as_ref().map(|provider| provider.rung());
        let is_open = rung.is_some_and(SandboxRung::has_own_loopback) && self.egress.is_some();
        match is_open {
            true => mode,
            false => EgressMode::Closed,
        }
    }

    /// Whether an attempt of `mode` in `project` reaches hosts that a person listed.
    pub fn reaches_hosts(&self, mode: EgressMode, project: &NamedProject) -> bool {
        let lists_hosts = |egress: &SandboxEgress| egress.lists_hosts_for(project);
        self.reached_mode(mode).is_open() && self.egress.as_ref().is_some_and(lists_hosts)
    }

    /// What an agent is told of the network of an attempt of `mode` in `project`.
    pub fn network_words(&self, mode: EgressMode, project: &NamedProject) -> &'static str {
        let reaches_hosts = self.reaches_hosts(mode, project);
        self.reached_mode(mode).network_words(reaches_hosts)
    }

    /// What sandboxes with that toolbox may read, looked at right before they start: a link or a
    /// socket may have come since the folder was allowed.
    ///
    /// # Errors
    /// [`GuardRefusal`] for a listed place that must not be shown.
    pub fn sandbox_mounts(
        &self,
        toolbox: &SandboxToolchain,
    ) -> Result<Vec<ReadOnlyMount>, GuardRefusal> {
        for path in &self.read_only {
            self.guarded.check_mount(path, MountSource::Person)?;
        }
        for path in &toolbox.allowed {
            self.guarded.check_mount(path, MountSource::Repository)?;
        }
        Ok(toolbox.toolchain_mounts(&self.read_only))
    }
}

/// Removes the workspace `dir`, which may take long, on a thread that may wait for the disk. One that stays hinders
/// nothing but the disk: it is told, and the next start tries again.
pub(crate) async fn remove_workspace(
    lifecycle: &LifecycleHandle,
    provider: &Arc<dyn Provider>,
    dir: &Path,
) {
    let (held, place) = (Arc::clone(provider), dir.to_path_buf());
    let removal = lifecycle.run_blocking("remove a workspace", move || {
        remove_or_tell(held.as_ref(), &place);
    });
    if let Err(panicked) = removal.await {
        warn!(error = %error_chain(&panicked), "Could not remove the workspace `{}`", dir.display());
    }
}

/// Removes the workspace `dir`, or tells that it stays; true when it is gone.
pub(crate) fn remove_or_tell(provider: &dyn Provider, dir: &Path) -> bool {
    let removed = provider.remove_workspace(dir);
    if let Err(error) = &removed {
        warn!(error = %error_chain(error), "Could not remove the workspace `{}`", dir.display());
    }
    removed.is_ok()
}
