//! Which ticket waits for which.

use omoi_domain::event::{Event, TicketEdgeChange};
use omoi_domain::id::{ProjectId, SpecId, TicketId};

use super::{Ticket, get, hold_ticket, is_open};
use crate::args;
use crate::column::Column;
use crate::edges::EdgeTable;
use crate::error::StoreError;
use crate::tasks;
use crate::tx::Tx;

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
    write_edge(tx, ticket, depends_on).await.map(drop)
}

/// Writes an edge; false when it is there already.
async fn write_edge(
    tx: &mut Tx,
    ticket: TicketId,
    depends_on: TicketId,
) -> Result<bool, StoreError> {
    // Both are held until the commit: neither gets a task or is done between the count and the edge.
    hold_ticket(tx, ticket.min(depends_on)).await?;
    hold_ticket(tx, ticket.max(depends_on)).await?;
    let is_new = EDGES.insert_edge(tx, ticket, depends_on).await?;
    let prerequisite = get(tx, depends_on).await?;
    if !is_new {
        get(tx, ticket).await?;
        return Ok(false);
    }
    if is_open(prerequisite.status) {
        tasks::ticket_waits(tx, ticket, 1).await?;
    }
    Ok(true)
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

/// The same for a person, who is told of it.
///
/// # Errors
/// As [`depend`].
pub async fn add_dependency(
    tx: &mut Tx,
    ticket: &Ticket,
    depends_on: TicketId,
) -> Result<(), StoreError> {
    if write_edge(tx, ticket.id, depends_on).await? {
        tell_edge(tx, ticket, depends_on, false);
    }
    Ok(())
}

/// Makes `ticket` wait for `depends_on` no more; false when it did not.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove_dependency(
    tx: &mut Tx,
    ticket: &Ticket,
    depends_on: TicketId,
) -> Result<bool, StoreError> {
    hold_ticket(tx, ticket.id.min(depends_on)).await?;
    hold_ticket(tx, ticket.id.max(depends_on)).await?;
    if !EDGES.delete_edge(tx, ticket.id, depends_on).await? {
        return Ok(false);
    }
    if is_open(get(tx, depends_on).await?.status) {
        tasks::ticket_waits(tx, ticket.id, -1).await?;
    }
    tell_edge(tx, ticket, depends_on, true);
    Ok(true)
}

fn tell_edge(tx: &mut Tx, ticket: &Ticket, depends_on: TicketId, is_removed: bool) {
    let change = TicketEdgeChange {
        ticket_id: ticket.id,
        depends_on_id: depends_on,
        is_removed,
    };
    let event = Event::TicketDependencyChanged(change);
    tx.emit(Some(ticket.project_id), ticket.spec_id, event);
}

/// Every ticket edge of a project: (ticket, what it waits for). Others may add edges meanwhile unless the project is
/// held.
///
/// # Errors
/// When the database cannot be read.
pub async fn dependencies_of_project(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Vec<(TicketId, TicketId)>, StoreError> {
    let rows = tx
        .rows(
            "select d.ticket_id, d.depends_on_id from ticket_dependencies d
             join tickets t on t.id = d.ticket_id
             where d.org_id = $1 and t.project_id = $2 order by 1, 2",
            args![project],
        )
        .await?;
    let edges = rows.iter().map(|row| {
        Ok((
            TicketId::read(row, "ticket_id")?,
            TicketId::read(row, "depends_on_id")?,
        ))
    });
    edges.collect()
}
