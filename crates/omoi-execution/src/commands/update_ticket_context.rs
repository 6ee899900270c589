//! Builds what the work on a ticket came to.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, TicketId};
use omoi_domain::task::TicketPhase;
use omoi_domain::ticket_context::{TaskContext, summarize_tasks};
use omoi_store::tasks::{self, Task};
use omoi_store::ticket_contexts::{self, TicketContext};
use omoi_store::{Json, StoreError, Tenant, Tx, tickets};

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
        let context = TicketContext {
            ticket_id: ticket.id,
            phase_id: phase,
            org_id: tx.org(),
            summary: summarize_tasks(&found),
            tasks: Json(found),
            actor: tx.current_actor(),
            updated_at: tx.now(),
        };
        ticket_contexts::replace(tx, &context).await?;
        tickets::tell_updated(tx, &ticket);
        Ok::<_, StoreError>(context)
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
