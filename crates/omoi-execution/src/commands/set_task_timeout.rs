//! `POST /tasks/{task_id}/set-timeout`.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TaskId;
use omoi_domain::lifecycle::task::expect_open_task;
use omoi_store::Tenant;
use omoi_store::tasks::{self, Task};

use super::TaskCommandError;

/// Gives each attempt at a task `seconds` of wall time from the next one on; limits of the deployment and the repository
/// hold beside it.
///
/// # Errors
/// [`TaskCommandError::IsOver`].
pub async fn set_task_timeout(
    tenant: &Tenant,
    id: TaskId,
    seconds: u32,
) -> Result<Task, TaskCommandError> {
    let set = tenant.write(CrashPoint::TaskMoved, async |tx| {
        let mut task = tasks::get(tx, id).await?;
        expect_open_task(task.status)
            .map_err(|refusal| TaskCommandError::of_edit(&task, refusal))?;
        if task.timeout_seconds != i64::from(seconds) {
            task.timeout_seconds = i64::from(seconds);
            tasks::save_edited(tx, &mut task, &["timeout_seconds"]).await?;
        }
        Ok(task)
    });
    set.await.inspect(|task: &Task| {
        info!(task.id = %task.id, seconds, "A person gave TSK-{:03} {seconds} s", task.number);
    })
}
