//! The one place where a task's row is written, and every counter that follows from it.
//!
//! Three counters do: the slots of its project and of the organisation, and for each task that waits for
//! it the number of open prerequisites. A prerequisite is open until it is completed and merged, a ticket
//! that a task's ticket waits for until it is done.

use std::collections::BTreeSet;

use omoi_domain::id::{TaskId, TicketId};
use omoi_domain::merge::IntegrationState;
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::TicketStatus;

use super::Task;
use crate::args;
use crate::column::{Args, Column};
use crate::dialect::DatabaseRow;
use crate::error::StoreError;
use crate::tickets::hold_ticket;
use crate::tx::{Tx, row_batches};

/// What counters follow from.
#[derive(Clone, Copy)]
pub(super) struct CountedFacts {
    holds_slot: bool,
    is_open: bool,
}

impl CountedFacts {
    const fn new(status: TaskStatus, integration: IntegrationState) -> Self {
        Self {
            holds_slot: status.holds_slot(),
            is_open: !(matches!(status, TaskStatus::Completed)
                && matches!(integration, IntegrationState::Merged)),
        }
    }

    const fn of(task: &Task) -> Self {
        Self::new(task.status, task.integration_state)
    }

    /// From the columns `status` and `integration_state`.
    fn read(row: &DatabaseRow) -> Result<Self, StoreError> {
        Ok(Self::new(
            Column::read(row, "status")?,
            Column::read(row, "integration_state")?,
        ))
    }

    /// Whether a task that depends on this one waits.
    pub(super) fn is_open(row: &DatabaseRow) -> Result<bool, StoreError> {
        Ok(Self::read(row)?.is_open)
    }
}

/// Writes a new row. Its ticket is held until the commit, and so are the tickets that one waits for:
/// the number of them that are open stays what was counted.
pub(super) async fn insert(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    hold_ticket(tx, task.ticket_id).await?;
    tx.insert(task).await?;
    let waits_for = tx
        .locked_rows(
            "select status from tickets where org_id = $1 and id in
                 (select depends_on_id from ticket_dependencies where ticket_id = $2)
             order by id",
            args![task.ticket_id],
        )
        .await?;
    let mut open = 0_i64;
    for row in &waits_for {
        open += i64::from(TicketStatus::read(row, "status")? != TicketStatus::Done);
    }
    if open > 0 {
        tx.execute(
            "update tasks set n_open_prerequisites = $3 where org_id = $1 and id = $2",
            args![task.id, open],
        )
        .await?;
    }
    if CountedFacts::of(task).holds_slot {
        tx.count_slots(task.project_id, 1);
    }
    Ok(())
}

/// Writes a row back if nobody changed it since it was read. What stood there is read first: the version
/// that guards the update also says that it was still there.
pub(super) async fn write(tx: &mut Tx, task: &mut Task) -> Result<(), StoreError> {
    let rows = tx
        .rows(
            "select status, integration_state from tasks where org_id = $1 and id = $2",
            args![task.id],
        )
        .await?;
    let Some(before) = rows.first().map(CountedFacts::read).transpose()? else {
        return tx.update(task).await;
    };
    let after = CountedFacts::of(task);
    if before.is_open != after.is_open {
        hold_with_dependents(tx, task.id).await?;
    }
    tx.update(task).await?;
    match (before.holds_slot, after.holds_slot) {
        (false, true) => tx.count_slots(task.project_id, 1),
        (true, false) => tx.count_slots(task.project_id, -1),
        (false, false) | (true, true) => {}
    }
    let change = match (before.is_open, after.is_open) {
        (false, true) => 1_i64,
        (true, false) => -1,
        (false, false) | (true, true) => return Ok(()),
    };
    tx.execute(
        "update tasks set n_open_prerequisites = n_open_prerequisites + $3
         where org_id = $1 and id in
             (select task_id from task_dependencies where depends_on_id = $2)",
        args![task.id, change],
    )
    .await?;
    Ok(())
}

/// Locks a task and those whose counters follow it, in the order in which everybody locks tasks.
async fn hold_with_dependents(tx: &mut Tx, task: TaskId) -> Result<(), StoreError> {
    tx.locked_rows(
        "select id from tasks where org_id = $1 and (id = $2 or id in
             (select task_id from task_dependencies where depends_on_id = $2))
         order by id",
        args![task],
    )
    .await?;
    Ok(())
}

/// Lets nobody else change tasks until the transaction ends. Whoever is about to change several says so
/// first: their rows are locked in the order of their ids, and two who do that never wait for each other.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_tasks(
    tx: &mut Tx,
    tasks: impl IntoIterator<Item = TaskId>,
) -> Result<(), StoreError> {
    let in_order: Vec<TaskId> = tasks
        .into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    for batch in row_batches(&in_order) {
        let mut args = Args::default();
        for task in batch {
            args.push(task)?;
        }
        let marks: Vec<String> = (2..batch.len() + 2).map(|n| format!("${n}")).collect();
        let marks = marks.join(", ");
        let sql = format!("select id from tasks where org_id = $1 and id in ({marks}) order by id");
        tx.locked_rows(&sql, args).await?;
    }
    Ok(())
}

/// Locks the tasks of a ticket and those of the tickets that wait for it, as whoever is about to change the ticket does
/// first: tasks are locked before tickets.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_around_ticket(tx: &mut Tx, ticket: TicketId) -> Result<(), StoreError> {
    tx.locked_rows(
        "select id from tasks where org_id = $1 and (ticket_id = $2 or ticket_id in
             (select ticket_id from ticket_dependencies where depends_on_id = $2))
         order by id",
        args![ticket],
    )
    .await?;
    Ok(())
}

/// Notes that a ticket is done, or open again, with every task whose ticket waits for it.
pub(crate) async fn ticket_moved(
    tx: &mut Tx,
    ticket: TicketId,
    is_open: bool,
) -> Result<(), StoreError> {
    let change: i64 = if is_open { 1 } else { -1 };
    tx.locked_rows(
        "select id from tasks where org_id = $1 and ticket_id in
             (select ticket_id from ticket_dependencies where depends_on_id = $2)
         order by id",
        args![ticket],
    )
    .await?;
    tx.execute(
        "update tasks set n_open_prerequisites = n_open_prerequisites + $3
         where org_id = $1 and ticket_id in
             (select ticket_id from ticket_dependencies where depends_on_id = $2)",
        args![ticket, change],
    )
    .await?;
    Ok(())
}

/// Notes with every task of a ticket that the ticket waits for `change` more.
pub(crate) async fn ticket_waits(
    tx: &mut Tx,
    ticket: TicketId,
    change: i64,
) -> Result<(), StoreError> {
    tx.locked_rows(
        "select id from tasks where org_id = $1 and ticket_id = $2 order by id",
        args![ticket],
    )
    .await?;
    tx.execute(
        "update tasks set n_open_prerequisites = n_open_prerequisites + $3
         where org_id = $1 and ticket_id = $2",
        args![ticket, change],
    )
    .await?;
    Ok(())
}
