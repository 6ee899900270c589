//! What it takes to run checks.

use omoi_execution::command::CheckoutRunner;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_store::Tenant;

/// Runs checks and keeps their receipts.
#[derive(Clone)]
pub struct CheckRunner {
    /// The rows it reads and writes.
    pub store: Tenant,
    /// Where the mirrors are.
    pub folders: RepositoryFolders,
    /// Runs the commands of checks.
    pub checkouts: CheckoutRunner,
    /// Runs what would hold up an async thread.
    pub lifecycle: LifecycleHandle,
}

impl FromParts for CheckRunner {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            folders: RepositoryFolders::from_parts(parts),
            checkouts: CheckoutRunner::from_parts(parts),
            lifecycle: parts.lifecycle.clone(),
        }
    }
}
