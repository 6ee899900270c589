//! Where tickets stand on the board of their project.
//!
//! The column of a ticket follows from its phase; people order the tickets of a column by ranks. A rank counts in the
//! column that it was given in, and tickets without one come before the others, by number.

use omoi_domain::event::{BoardMove, Event};
use omoi_domain::id::{ProjectId, TicketId};
use omoi_domain::workflow::ColumnDefinition;

use crate::args;
use crate::column::{Args, Column};
use crate::dialect::DatabaseRow;
use crate::error::StoreError;
use crate::row::Row as _;
use crate::tickets::Ticket;
use crate::tx::{Tx, row_batches};

/// A ticket on a board.
#[derive(Clone, Debug)]
pub struct PlacedTicket {
    /// The ticket.
    pub ticket: Ticket,
    /// The column that shows it.
    pub column_key: String,
    /// Tickets that the column has.
    pub n_in_column: u32,
}

/// A ticket of a column, and the rank that somebody gave it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankedTicket {
    /// The ticket.
    pub id: TicketId,
    /// Its rank.
    pub rank: Option<i64>,
}

/// Begins a query of every ticket that a board shows, as `placed`: its id, number, column and rank. Tickets that people
/// turned down are not shown. `$2` is the project.
fn placed_tickets(columns: &[ColumnDefinition], args: &mut Args) -> Result<String, StoreError> {
    let shown = columns
        .iter()
        .flat_map(|column| column.phases.iter().map(move |phase| (phase, &column.key)));
    let mut marks = Vec::new();
    for (phase, key) in shown {
        args.push(phase)?;
        args.push(key)?;
        // The organisation is the first.
        let last = args.0.len() + 1;
        marks.push(format!("(${}, ${last})", last - 1));
    }
    Ok(format!(
        "with shown (phase_id, column_key) as (values {}),
         placed as (
             select t.id, t.number, s.column_key, p.rank from tickets t
             join shown s on s.phase_id = case when t.is_blocked then 'PHASE_BLOCKED' else t.phase_id end
             left join board_positions p on p.ticket_id = t.id and p.column_key = s.column_key
             left join specs given_up on given_up.id = t.spec_id and given_up.org_id = t.org_id
                 and given_up.kind = 'planned' and given_up.status in ('cancelled', 'failed')
             where t.org_id = $1 and t.project_id = $2
                 and t.approval_status in ('approved', 'pending_review')
                 and (given_up.id is null or t.status = 'done'))",
        marks.join(", ")
    ))
}

/// The order of the tickets of a column.
const COLUMN_ORDER: &str = "case when rank is null then 0 else 1 end, rank, number";

/// The first `limit` tickets of each of `columns`, in the order of each column.
///
/// # Errors
/// When the database cannot be read.
pub async fn placed_of_project(
    tx: &mut Tx,
    project: ProjectId,
    columns: &[ColumnDefinition],
    limit: u32,
) -> Result<Vec<PlacedTicket>, StoreError> {
    let mut args = args![project];
    let placed = placed_tickets(columns, &mut args)?;
    args.push(&limit)?;
    let mark = args.0.len() + 1;
    let of_ticket: Vec<String> = Ticket::columns()
        .iter()
        .map(|column| format!("t.{column}"))
        .collect();
    let sql = format!(
        "select {}, r.column_key, r.n_in_column from (
             {placed}
             select id, column_key,
                 row_number() over (partition by column_key order by {COLUMN_ORDER}) as place,
                 count(*) over (partition by column_key) as n_in_column from placed) r
         join tickets t on t.id = r.id
         where t.org_id = $1 and r.place <= ${mark} order by r.column_key, r.place",
        of_ticket.join(", ")
    );
    let rows = tx.built_rows(sql, args).await?;
    let placed = rows.iter().map(|row| {
        Ok(PlacedTicket {
            ticket: Ticket::read(row)?,
            column_key: String::read(row, "column_key")?,
            n_in_column: u32::read(row, "n_in_column")?,
        })
    });
    placed.collect()
}

/// How many tickets each column of a board has; columns without any are left out.
///
/// # Errors
/// When the database cannot be read.
pub async fn counts_of_project(
    tx: &mut Tx,
    project: ProjectId,
    columns: &[ColumnDefinition],
) -> Result<Vec<(String, u32)>, StoreError> {
    let mut args = args![project];
    let placed = placed_tickets(columns, &mut args)?;
    let sql = format!(
        "select column_key, count(*) as n from ({placed} select column_key from placed) p group by column_key"
    );
    let rows = tx.built_rows(sql, args).await?;
    let counts = rows
        .iter()
        .map(|row| Ok((String::read(row, "column_key")?, u32::read(row, "n")?)));
    counts.collect()
}

/// The tickets of one column without `moved`, in their order, at most `limit`.
///
/// # Errors
/// When the database cannot be read.
pub async fn others_in_column(
    tx: &mut Tx,
    moved: &Ticket,
    column: &ColumnDefinition,
    limit: u32,
) -> Result<Vec<RankedTicket>, StoreError> {
    let mut args = args![moved.project_id];
    let placed = placed_tickets(std::slice::from_ref(column), &mut args)?;
    args.push(&moved.id)?;
    args.push(&limit)?;
    let last = args.0.len() + 1;
    let sql = format!(
        "select id, rank from ({placed} select id, rank, number from placed) p
         where id <> ${} order by {COLUMN_ORDER} limit ${last}",
        last - 1
    );
    let rows = tx.built_rows(sql, args).await?;
    let read = |row: &DatabaseRow| {
        Ok(RankedTicket {
            id: TicketId::read(row, "id")?,
            rank: Option::<i64>::read(row, "rank")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Gives tickets ranks in a column.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_ranks(
    tx: &mut Tx,
    column: &str,
    ranks: &[(TicketId, i64)],
) -> Result<(), StoreError> {
    for batch in row_batches(ranks) {
        let mut args = args![column];
        let mut marks = Vec::with_capacity(batch.len());
        for (ticket, rank) in batch {
            args.push(ticket)?;
            args.push(rank)?;
            let last = args.0.len() + 1;
            marks.push(format!("(${}, $1, $2, ${last})", last - 1));
        }
        let sql = format!(
            "insert into board_positions (ticket_id, org_id, column_key, rank) values {}
             on conflict (ticket_id) do update set column_key = excluded.column_key, rank = excluded.rank
             returning ticket_id",
            marks.join(", ")
        );
        tx.built_rows(sql, args).await?;
    }
    Ok(())
}

/// Tells that a person put `ticket` to another place of the board.
pub fn tell_move(tx: &mut Tx, ticket: &Ticket, from: Option<&str>, to: &str, place: u32) {
    let moved = BoardMove {
        ticket_id: ticket.id,
        number: ticket.number,
        title: ticket.title.clone(),
        from_column: from.map(ToOwned::to_owned),
        to_column: to.to_owned(),
        place,
    };
    let event = Event::BoardTicketMoved(moved);
    tx.emit(Some(ticket.project_id), ticket.spec_id, event);
}
