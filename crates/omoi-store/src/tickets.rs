//! Tickets: groups of tasks.

use omoi_domain::event::{Event, TicketChange};
use omoi_domain::id::{OrgId, ProjectId, SpecId, TicketId};
use omoi_domain::machine::transition as rule;
use omoi_domain::task::Priority;
use omoi_domain::ticket::{ApprovalStatus, TicketStatus};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::edges::EdgeTable;
use crate::error::StoreError;
use crate::row::{row, versioned};
use crate::tasks;
use crate::tx::Tx;

row! {
    /// A group of tasks.
    Ticket in "tickets" as "ticket" {
        /// Its id.
        id: TicketId,
        /// Its organisation.
        org_id: OrgId,
        /// Its repository.
        project_id: ProjectId,
        /// Its spec.
        spec_id: SpecId,
        /// `n` of the project's `TKT-n`.
        number: i64,
        /// The plan's `TKT-n`.
        local_id: String,
        /// Position in the plan.
        ordinal: i64,
        /// Its title.
        title: String,
        /// Its description.
        description: String,
        /// Its priority.
        priority: Priority,
        /// Where it stands.
        status: TicketStatus,
        /// Guards updates.
        state_version: i64,
        /// When it was written.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}
versioned!(Ticket by id in "tickets" { title, description, priority, status, updated_at });

impl Ticket {
    fn change(&self, from: Option<TicketStatus>) -> TicketChange {
        TicketChange {
            ticket_id: self.id,
            number: self.number,
            title: self.title.clone(),
            from,
            to: self.status,
        }
    }
}

/// Writes a new ticket.
///
/// # Errors
/// [`StoreError::Exists`] when its number or local id is taken.
pub async fn insert(tx: &mut Tx, ticket: &Ticket) -> Result<(), StoreError> {
    tx.insert(ticket).await?;
    let change = ticket.change(None);
    tx.emit(
        Some(ticket.project_id),
        Some(ticket.spec_id),
        Event::TicketCreated(change),
    );
    Ok(())
}

/// The ticket with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: TicketId) -> Result<Ticket, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Tickets of a spec in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Ticket>, StoreError> {
    tx.all("spec_id = $2 order by ordinal, number", args![spec])
        .await
}

/// Writes changed fields other than the status.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn save(tx: &mut Tx, ticket: &mut Ticket) -> Result<(), StoreError> {
    ticket.updated_at = tx.now();
    write(tx, ticket).await
}

/// Moves a ticket along its machine and writes the event the table names.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn transition(
    tx: &mut Tx,
    ticket: &mut Ticket,
    to: TicketStatus,
) -> Result<(), StoreError> {
    let from = ticket.status;
    let kind = rule(from, to)?;
    ticket.status = to;
    ticket.updated_at = tx.now();
    write(tx, ticket).await?;
    let change = ticket.change(Some(from));
    tx.emit_kind(
        (Some(ticket.project_id), Some(ticket.spec_id)),
        kind,
        &change,
    )
}

/// Writes what people decided about a ticket; nothing of it starts unless it is approved.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_approval(
    tx: &mut Tx,
    ticket: TicketId,
    approval: ApprovalStatus,
) -> Result<(), StoreError> {
    tx.execute(
        "update tickets set approval_status = $3 where org_id = $1 and id = $2",
        args![ticket, approval],
    )
    .await?;
    Ok(())
}

/// Holds a ticket up, or lets it go on; nothing of a blocked one starts.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_blocked(tx: &mut Tx, ticket: TicketId, blocked: bool) -> Result<(), StoreError> {
    tx.execute(
        "update tickets set is_blocked = $3 where org_id = $1 and id = $2",
        args![ticket, blocked],
    )
    .await?;
    Ok(())
}

/// Writes a row back, and with every task whose ticket waits for it whether it is done.
async fn write(tx: &mut Tx, ticket: &mut Ticket) -> Result<(), StoreError> {
    let rows = tx
        .rows(
            "select status from tickets where org_id = $1 and id = $2",
            args![ticket.id],
        )
        .await?;
    let before = rows.first().map(|row| TicketStatus::read(row, "status"));
    let before = before.transpose()?;
    tx.update(ticket).await?;
    let (was_open, is_open) = (before.is_some_and(is_open), is_open(ticket.status));
    if was_open != is_open {
        tasks::ticket_moved(tx, ticket.id, is_open).await?;
    }
    Ok(())
}

/// Lets nobody else change what `ticket` waits for, or add tasks to it, until the transaction ends.
/// Tickets are locked after tasks and before the project: see `docs/decisions/claims.md`.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_ticket(tx: &mut Tx, ticket: TicketId) -> Result<(), StoreError> {
    tx.locked_rows(
        "select id from tickets where org_id = $1 and id = $2",
        args![ticket],
    )
    .await?;
    Ok(())
}

/// The same for every ticket of a spec.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_of_spec(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    tx.locked_rows(
        "select id from tickets where org_id = $1 and spec_id = $2 order by id",
        args![spec],
    )
    .await?;
    Ok(())
}

/// Whether tickets that wait for one in `status` go on waiting.
fn is_open(status: TicketStatus) -> bool {
    status != TicketStatus::Done
}

const EDGES: EdgeTable = EdgeTable {
    name: "ticket_dependencies",
    between: "tickets",
    waiting: "ticket_id",
};

/// Makes `ticket` wait for `depends_on`.
///
/// # Errors
/// [`StoreError::NotFound`] when either is not of this organisation.
pub async fn depend(tx: &mut Tx, ticket: TicketId, depends_on: TicketId) -> Result<(), StoreError> {
    // Both are held until the commit: neither gets a task or is done between the count and the edge.
    hold_ticket(tx, ticket.min(depends_on)).await?;
    hold_ticket(tx, ticket.max(depends_on)).await?;
    let is_new = EDGES.insert_edge(tx, ticket, depends_on).await?;
    let prerequisite = get(tx, depends_on).await?;
    if !is_new {
        get(tx, ticket).await?;
        return Ok(());
    }
    if is_open(prerequisite.status) {
        tasks::ticket_waits(tx, ticket).await?;
    }
    Ok(())
}

/// Ticket edges of a spec: (ticket, what it waits for).
///
/// # Errors
/// When the database cannot be read.
pub async fn dependencies(
    tx: &mut Tx,
    spec: SpecId,
) -> Result<Vec<(TicketId, TicketId)>, StoreError> {
    EDGES.of_spec(tx, spec).await
}
