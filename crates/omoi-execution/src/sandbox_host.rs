//! What sandboxes of this process are made with.

use std::path::PathBuf;
use std::sync::Arc;

use omoi_sandbox::{
    GuardRefusal, GuardedPlaces, MountSource, Provider, ReadOnlyMount, SandboxLimits,
};

use crate::deployment::{DeploymentParts, FromParts};
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
    /// Certificates that clients in a sandbox with a way out trust; none where there is no proxy.
    pub egress_certificates: Option<Arc<str>>,
}

impl FromParts for SandboxHost {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            provider: parts.sandbox.clone(),
            limits: parts.sandbox_limits,
            read_only: parts.read_only.clone(),
            guarded: parts.guarded.clone(),
            egress_certificates: parts.egress_certificates.clone(),
        }
    }
}

impl SandboxHost {
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
