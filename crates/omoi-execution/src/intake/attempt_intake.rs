//! What it takes to apply the reports of workers.

use omoi_domain::work_limits::WorkLimits;
use omoi_store::Tenant;

use crate::copied_files::CopiedFiles;
use crate::deployment::{DeploymentParts, FromParts};
use crate::failure_policy::FailurePolicy;
use crate::repository_folders::RepositoryFolders;
use crate::running_attempts::RunningAttempts;

/// Applies what workers tell of their attempts.
#[derive(Clone)]
pub struct AttemptIntake {
    /// The rows it reads and writes.
    pub store: Tenant,
    /// Where the mirrors are that commits are imported into.
    pub folders: RepositoryFolders,
    /// Files of people's checkouts that no commit may hold.
    pub copies: CopiedFiles,
    /// The attempts that this process works on.
    pub running: RunningAttempts,
    /// What a failed attempt means for its work.
    pub failures: FailurePolicy,
    /// What work may take, where its repository sets no lower limit.
    pub limits: WorkLimits,
}

impl AttemptIntake {
    /// The same for the rows that `store` sees.
    #[must_use]
    pub fn in_tenant(&self, store: &Tenant) -> Self {
        Self {
            store: store.clone(),
            copies: self.copies.in_tenant(store),
            ..self.clone()
        }
    }
}

impl FromParts for AttemptIntake {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            folders: RepositoryFolders::from_parts(parts),
            copies: CopiedFiles::from_parts(parts),
            running: parts.running.clone(),
            failures: FailurePolicy::from_parts(parts),
            limits: parts.limits,
        }
    }
}
