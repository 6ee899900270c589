//! Builds what the work on a ticket came to.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, TicketId};
use omoi_domain::task::TicketPhase;
use omoi_domain::ticket_context::TaskContext;
use omoi_store::tasks::{self, Task};
use omoi_store::ticket_contexts::TicketContext;
use omoi_store::{StoreError, Tenant, Tx, tickets};

use crate::ticket_documents::keep_context;

/// Builds the context of one phase of a ticket from its tasks as they stand.
///
/// # Errors
/// [`StoreError::NotFound`] of the ticket.
pub async fn update_ticket_context(
    tenant: &Tenant,
    ticket: TicketId,
    phase: TicketPhase,
) -> Result<TicketContext, StoreError> {
    let build = async |tx: &mut Tx| {
        // Of two who build it one comes after the other.
        tickets::hold_ticket(tx, ticket).await?;
        let ticket = tickets::get(tx, ticket).await?;
        let rows = tasks::of_ticket(tx, ticket.id).await?.into_iter();
        let rows = rows.filter(|task| task.phase_id == phase);
        let found: Vec<TaskContext> = rows.map(task_context).collect();
        keep_context(tx, &ticket, phase, found).await
    };
    tenant.write(CrashPoint::TicketChanged, build).await
}

fn task_context(task: Task) -> TaskContext {
    TaskContext {
        task_id: task.id,
        task_ref: HumanRef::task(task.number).to_string(),
        title: task.title,
        status: task.status,
        summary: task.summary,
        problem: task.blocked_reason.or(task.error_message),
        head_sha: task.head_sha,
        files: task.files.0,
    }
}
