//! Tickets and tasks of a project as far as graphs show them.

use omoi_domain::id::{ProjectId, TaskId, TicketId};
use omoi_domain::task::{Priority, TaskStatus, TicketPhase};
use omoi_domain::ticket::TicketStatus;
use omoi_domain::time::Timestamp;
use omoi_domain::workflow::PhaseId;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A ticket of a graph.
    GraphTicket in "tickets" as "ticket" {
        /// Its id.
        id: TicketId,
        /// `n` of the project's `TKT-n`.
        number: i64,
        /// Its title.
        title: String,
        /// Where it stands.
        status: TicketStatus,
        /// The phase that it is in.
        phase_id: PhaseId,
        /// Its priority.
        priority: Priority,
        /// Whether something holds it up.
        is_blocked: bool,
    }
}

row! {
    /// A task of a graph.
    GraphTask in "tasks" as "task" {
        /// Its id.
        id: TaskId,
        /// Its ticket.
        ticket_id: TicketId,
        /// `n` of the project's `TSK-n`.
        number: i64,
        /// Its title.
        title: String,
        /// Where it stands.
        status: TaskStatus,
        /// The phase of its ticket it belongs to.
        phase_id: TicketPhase,
        /// Its priority.
        priority: Priority,
        /// The plan's estimate.
        estimated_hours: f64,
        /// When its agent last began.
        started_at: Option<Timestamp>,
        /// When its checks passed.
        completed_at: Option<Timestamp>,
    }
}

/// Every ticket of a project, by number.
///
/// # Errors
/// When the database cannot be read.
pub async fn tickets_of_project(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Vec<GraphTicket>, StoreError> {
    tx.all("project_id = $2 order by number, id", args![project])
        .await
}

/// Every task of a project, by number.
///
/// # Errors
/// When the database cannot be read.
pub async fn tasks_of_project(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Vec<GraphTask>, StoreError> {
    tx.all("project_id = $2 order by number, id", args![project])
        .await
}
