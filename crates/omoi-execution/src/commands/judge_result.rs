//! Judges what somebody said came of a task or a ticket.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ProjectId, TaskResultId, WorkflowResultId};
use omoi_domain::lifecycle::work_result::ResultJudgement;
use omoi_store::task_results::{self, TaskResult};
use omoi_store::workflow_results::{self, WorkflowResult};
use omoi_store::{Tenant, Tx};

use crate::results::{ResultCommandError, expect_project, judge_of_task, judge_of_workflow};

/// Judges a result of a task; a caller of one project is told of no others.
///
/// # Errors
/// [`ResultCommandError`] where that cannot be said of it.
pub async fn judge_task_result(
    tenant: &Tenant,
    (id, only): (TaskResultId, Option<ProjectId>),
    said: &ResultJudgement,
) -> Result<TaskResult, ResultCommandError> {
    let judge = async |tx: &mut Tx| {
        let result = task_results::get(tx, id).await?;
        expect_project(result.project_id, only, &id)?;
        judge_of_task(tx, result, said).await
    };
    let judged = tenant.write(CrashPoint::ResultMoved, judge).await;
    judged.inspect(|result: &TaskResult| {
        info!(result.id = %id, status = %result.status, "Judged a result of a task");
    })
}

/// Judges a result of a ticket; where it meets the criteria, what the ticket says of that follows.
///
/// # Errors
/// [`ResultCommandError`] where that cannot be said of it.
pub async fn judge_workflow_result(
    tenant: &Tenant,
    (id, only): (WorkflowResultId, Option<ProjectId>),
    said: &ResultJudgement,
) -> Result<WorkflowResult, ResultCommandError> {
    let judge = async |tx: &mut Tx| {
        let result = workflow_results::get(tx, id).await?;
        expect_project(result.project_id, only, &id)?;
        judge_of_workflow(tx, result, said).await
    };
    let judged = tenant.write(CrashPoint::ResultMoved, judge).await;
    judged.inspect(|result: &WorkflowResult| {
        info!(result.id = %id, status = %result.status, "Judged a result of a ticket");
    })
}
