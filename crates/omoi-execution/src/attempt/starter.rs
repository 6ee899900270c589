//! What it takes to start an agent and to settle its attempt.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_store::Tenant;

use crate::agent_models::AgentModels;
use crate::agent_programs::FindProgram;
use crate::copied_files::CopiedFiles;
use crate::deployment::{DeploymentParts, FromParts};
use crate::failure_policy::FailurePolicy;
use crate::repository_folders::RepositoryFolders;
use crate::running_attempts::RunningAttempts;
use crate::sandbox_host::SandboxHost;
use crate::setup::PackageSetup;

/// Starts the workers of attempts, and settles attempts whose worker is gone.
#[derive(Clone)]
pub struct AttemptStarter {
    /// The rows it reads and writes.
    pub store: Tenant,
    /// Where the mirrors and the workspaces are.
    pub folders: RepositoryFolders,
    /// What the sandboxes are made with.
    pub host: SandboxHost,
    /// What installs the packages that a commit needs.
    pub setup: PackageSetup,
    /// Files of people's checkouts that workspaces are given.
    pub copies: CopiedFiles,
    /// Where the agent programs are.
    pub programs: Arc<dyn FindProgram>,
    /// The `omoi` binary, shown to sandboxes as the worker.
    pub worker: PathBuf,
    /// What is known of the agents' models.
    pub agent_models: AgentModels,
    /// Time between heartbeats of a worker.
    pub heartbeat: Duration,
    /// The attempts that this process works on.
    pub running: RunningAttempts,
    /// Starts what follows a worker.
    pub lifecycle: LifecycleHandle,
    /// What a lost attempt means for its work.
    pub failures: FailurePolicy,
}

impl FromParts for AttemptStarter {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            folders: RepositoryFolders::from_parts(parts),
            host: SandboxHost::from_parts(parts),
            setup: PackageSetup::from_parts(parts),
            copies: CopiedFiles::from_parts(parts),
            programs: parts.programs.clone(),
            worker: parts.worker.clone(),
            agent_models: parts.agent_models.clone(),
            heartbeat: parts.monitoring.heartbeat,
            running: parts.running.clone(),
            lifecycle: parts.lifecycle.clone(),
            failures: FailurePolicy::from_parts(parts),
        }
    }
}
