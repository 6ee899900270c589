//! Takes what people and programs say came of a task or a ticket.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{TaskId, TicketId};
use omoi_store::task_results::{NewTaskResult, TaskResult};
use omoi_store::workflow_results::WorkflowResult;
use omoi_store::{Tenant, Tx};

use crate::results::{ResultCommandError, take_task_result, take_workflow_result};

/// Takes what whoever acts says came of a task.
///
/// # Errors
/// [`ResultCommandError`] where it cannot be a result.
pub async fn submit_task_result(
    tenant: &Tenant,
    task: TaskId,
    new: NewTaskResult,
) -> Result<TaskResult, ResultCommandError> {
    let take = async |tx: &mut Tx| take_task_result(tx, task, new).await;
    let taken = tenant.write(CrashPoint::ResultMoved, take).await;
    taken.inspect(|result: &TaskResult| {
        info!(task.id = %task, result.id = %result.id, "Took a result of a task");
    })
}

/// Takes what whoever acts says came of a ticket: a summary, and the text.
///
/// # Errors
/// [`ResultCommandError`] where it cannot be a result, or the ticket asks for none.
pub async fn submit_workflow_result(
    tenant: &Tenant,
    ticket: TicketId,
    said: (String, String),
) -> Result<WorkflowResult, ResultCommandError> {
    let take = async |tx: &mut Tx| take_workflow_result(tx, ticket, said).await;
    let taken = tenant.write(CrashPoint::ResultMoved, take).await;
    taken.inspect(|result: &WorkflowResult| {
        info!(ticket.id = %ticket, result.id = %result.id, "Took a result of a ticket");
    })
}
