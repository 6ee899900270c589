//! The branch of a task that goes on from somewhere else.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TaskId;
use omoi_execution::Deployment;
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_runtime::BoxError;
use omoi_store::tasks;

/// Has the branch of a task point at `commit`, where its next round starts.
pub(crate) async fn move_task_branch(
    deployment: &Deployment,
    task: TaskId,
    mirror: &Mirror,
    commit: &ObjectId,
) -> Result<(), BoxError> {
    let store = &deployment.store;
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
