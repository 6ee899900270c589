//! `omoi task cancel`.

use tracing::info;

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TaskId;
use omoi_store::Tenant;
use omoi_store::tasks::{self, Task};

use super::TaskCommandError;
use crate::tasks::cancel;

/// Cancels a task. Whatever runs for it is stopped by the reaper.
///
/// # Errors
/// [`TaskCommandError::InvalidMove`] when it is over already.
pub async fn cancel_task(tenant: &Tenant, id: TaskId) -> Result<Task, TaskCommandError> {
    let cancelled = tenant.write(CrashPoint::TaskMoved, async |tx| {
        let mut task = tasks::get(tx, id).await?;
        let status = task.status;
        let cancelled = cancel(tx, &mut task, "cancelled by a person").await;
        let why = "it is over already";
        cancelled.map_err(|error| TaskCommandError::of_move(&task, status, why, error))?;
        tx.record_act(AuditAct::done_to(AuditAction::TaskCancelled, id));
        Ok(task)
    });
    cancelled.await.inspect(|task: &Task| {
        info!(task.id = %task.id, "Cancelled TSK-{:03} for a person", task.number);
    })
}
