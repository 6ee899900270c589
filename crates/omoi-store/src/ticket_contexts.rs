//! What the work on tickets came to, by phase.

use omoi_domain::actor::Actor;
use omoi_domain::id::{OrgId, TicketId};
use omoi_domain::task::TicketPhase;
use omoi_domain::ticket_context::TaskContext;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// What the tasks of one phase of a ticket came to.
    TicketContext in "ticket_contexts" as "context of a ticket" {
        /// The ticket.
        ticket_id: TicketId,
        /// The phase.
        phase_id: TicketPhase,
        /// Whose it is.
        org_id: OrgId,
        /// The tasks.
        tasks: Json<Vec<TaskContext>>,
        /// The same in words.
        summary: String,
        /// Who had it built.
        actor: Actor,
        /// When.
        updated_at: Timestamp,
    }
}

/// Keeps a context in place of the one that its phase had. Whoever calls holds the ticket.
///
/// # Errors
/// When the database cannot be written.
pub async fn replace(tx: &mut Tx, context: &TicketContext) -> Result<(), StoreError> {
    let sql = "delete from ticket_contexts where org_id = $1 and ticket_id = $2 and phase_id = $3";
    tx.execute(sql, args![context.ticket_id, context.phase_id])
        .await?;
    tx.insert(context).await
}

/// The contexts of a ticket, the latest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_ticket(tx: &mut Tx, ticket: TicketId) -> Result<Vec<TicketContext>, StoreError> {
    tx.all(
        "ticket_id = $2 order by updated_at desc, phase_id",
        args![ticket],
    )
    .await
}
