//! What the gates of phases stand on.

use omoi_domain::work_limits::WorkLimits;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_store::Tenant;

/// Reads what a phase submits and what it is held against: rows, the repository and the limits.
#[derive(Clone)]
pub struct PlanGate {
    /// The rows it reads and writes.
    pub store: Tenant,
    /// Where the mirrors are.
    pub folders: RepositoryFolders,
    /// What work may take where its spec says nothing.
    pub limits: WorkLimits,
}

impl PlanGate {
    /// The same for the rows that `store` sees.
    #[must_use]
    pub fn in_tenant(&self, store: &Tenant) -> Self {
        Self {
            store: store.clone(),
            ..self.clone()
        }
    }
}

impl FromParts for PlanGate {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            folders: RepositoryFolders::from_parts(parts),
            limits: parts.limits,
        }
    }
}
