//! What became of tickets, and who did it: written in the transaction of the change, beside its event.

use omoi_domain::actor::Actor;
use omoi_domain::id::{OrgId, ProjectId, StateTransitionId, TicketId};
use omoi_domain::ticket::TicketField;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tickets::Ticket;
use crate::tx::Tx;

row! {
    /// A change of one thing about a ticket.
    StateTransition in "state_transitions" as "state transition" {
        /// Its id.
        id: StateTransitionId,
        /// Its organisation.
        org_id: OrgId,
        /// The project of the ticket.
        project_id: ProjectId,
        /// The ticket.
        ticket_id: TicketId,
        /// What changed.
        field: TicketField,
        /// What it was; none where there was nothing.
        from_value: Option<String>,
        /// What it is; none where there is nothing any more.
        to_value: Option<String>,
        /// Why, where somebody said so.
        reason: Option<String>,
        /// Who changed it.
        actor: Actor,
        /// When.
        occurred_at: Timestamp,
    }
}

/// A change of one thing about a ticket, before it is written.
pub(crate) struct TicketFieldChange {
    pub(crate) field: TicketField,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

/// Writes down what changed about `ticket`.
pub(crate) async fn record_changes(
    tx: &mut Tx,
    ticket: &Ticket,
    changes: Vec<TicketFieldChange>,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let rows = changes.into_iter().map(|change| StateTransition {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: ticket.project_id,
        ticket_id: ticket.id,
        field: change.field,
        from_value: change.from,
        to_value: change.to,
        reason: reason.map(ToOwned::to_owned),
        actor: tx.current_actor(),
        occurred_at: tx.now(),
    });
    let rows: Vec<StateTransition> = rows.collect();
    tx.insert_all(&rows.iter().collect::<Vec<_>>()).await
}

/// The newest `limit` changes of a ticket, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_ticket(
    tx: &mut Tx,
    ticket: TicketId,
    limit: u32,
) -> Result<Vec<StateTransition>, StoreError> {
    let mut newest: Vec<StateTransition> = tx
        .all(
            "ticket_id = $2 order by occurred_at desc, id desc limit $3",
            args![ticket, limit],
        )
        .await?;
    newest.reverse();
    Ok(newest)
}
