//! The integration branch of a spec under proof, and branches of tasks that go on from somewhere else.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TaskId;
use omoi_execution::spec_files::SpecRenderer;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_runtime::BoxError;
use omoi_store::{Tenant, tasks};

use crate::receipts::CheckRunner;

/// Proves commits of integration branches.
#[derive(Clone)]
pub(crate) struct BranchProver {
    /// The rows it reads and writes.
    pub(crate) store: Tenant,
    /// Renders the files that a branch may begin with.
    pub(crate) renderer: SpecRenderer,
    /// Runs the checks on a commit.
    pub(crate) runner: CheckRunner,
}

impl FromParts for BranchProver {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            renderer: SpecRenderer::from_parts(parts),
            runner: CheckRunner::from_parts(parts),
        }
    }
}

/// Has the branch of a task point at `commit`, where its next round starts.
pub(crate) async fn move_task_branch(
    store: &Tenant,
    task: TaskId,
    mirror: &Mirror,
    commit: &ObjectId,
) -> Result<(), BoxError> {
    let task = store.read(async |tx| tasks::get(tx, task).await).await?;
    let branch = RefName::from_branch(&task.branch)?;
    let before = mirror.read_ref(&branch).await?;
    if before.as_ref() != Some(commit) {
        let point = CrashPoint::RefMoved;
        mirror
            .update_ref_cas(&branch, commit, before.as_ref(), point)
            .await?;
    }
    Ok(())
}
