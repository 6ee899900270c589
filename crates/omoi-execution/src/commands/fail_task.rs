//! `POST /tasks/{task_id}/fail`.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TaskId;
use omoi_domain::lifecycle::task::fail_by_person;
use omoi_store::Tenant;
use omoi_store::tasks::{self, Task};

use super::TaskCommandError;
use crate::tasks::apply_to_task;

/// Fails a task for `reason`, as no try of it would come to anything. Whatever runs for it is stopped by the reaper.
///
/// # Errors
/// [`TaskCommandError::InvalidMove`] where it stands otherwise.
pub async fn fail_task(
    tenant: &Tenant,
    id: TaskId,
    reason: &str,
) -> Result<Task, TaskCommandError> {
    let failed = tenant.write(CrashPoint::TaskMoved, async |tx| {
        let mut task = tasks::get(tx, id).await?;
        let status = task.status;
        let failed = apply_to_task(tx, &mut task, fail_by_person(reason)).await;
        let why = "only one that waits in the queue, is at work or under check fails";
        failed.map_err(|error| TaskCommandError::of_move(&task, status, why, error))?;
        Ok(task)
    });
    failed.await.inspect(|task: &Task| {
        info!(task.id = %task.id, "A person failed TSK-{:03}", task.number);
    })
}
