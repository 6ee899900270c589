//! Moves tickets on the board of their project, and changes its columns.

use std::collections::BTreeSet;

use omoi_domain::board::{RankPlan, check_columns, column_of_phase, plan_rank, shown_phase};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ProjectId, TicketId};
use omoi_domain::lifecycle::ticket::{TicketMoveRefusal, TicketTarget};
use omoi_domain::workflow::{ColumnDefinition, PhaseId};
use omoi_store::board_columns::{self, BoardColumns};
use omoi_store::board_positions::{self, RankedTicket};
use omoi_store::tickets::Ticket;
use omoi_store::{Tenant, Tx, projects};

use super::TicketCommandError;
use super::change_ticket::{given_reason, keep_gate_refusal, tell_forced, ticket_to_change};
use crate::tickets::{PersonMove, PersonMoveError, move_for_person};

/// Tickets of a column that a move looks at: one more than the greatest limit.
const OTHERS_MAX: u32 = 10_001;

/// A move that a person wants on a board.
#[derive(Clone, Debug)]
pub struct BoardMoveWish {
    /// The column that the ticket goes to; that which its own goes on to where it is left out.
    pub column: Option<String>,
    /// Its place among the others there; the last where it is left out.
    pub place: Option<u32>,
    /// Whether gate and limit are passed by.
    pub is_forced: bool,
    /// Why; needed where they are.
    pub reason: Option<String>,
    /// The versions of the ticket that this is meant for; none where every one is.
    pub versions: Option<Vec<i64>>,
}

/// A ticket that was moved, and the column that it is in.
#[derive(Clone, Debug)]
pub struct BoardMoveDone {
    /// The ticket.
    pub ticket: Ticket,
    /// The column.
    pub column: String,
}

/// Moves a ticket to a column and a place in it. The limit is counted under the column's row: of many who move tickets into
/// the last free place, one does.
///
/// # Errors
/// [`TicketCommandError::Full`], [`TicketCommandError::Refused`], [`TicketCommandError::StaleTicket`], and as of a column
/// that there is not.
pub async fn move_on_board(
    tenant: &Tenant,
    id: TicketId,
    wish: &BoardMoveWish,
) -> Result<BoardMoveDone, TicketCommandError> {
    let reason = given_reason(wish.reason.as_deref(), wish.is_forced)?;
    let moved = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut ticket = ticket_to_change(tx, id, wish.versions.as_deref()).await?;
        let board = board_columns::of_project(tx, ticket.project_id).await?;
        let columns = &board.columns;
        let from = column_of_phase(columns, shown_phase(ticket.phase_id, ticket.is_blocked));
        let from = from.map(|column| column.key.clone());
        let key = match &wish.column {
            Some(key) => key.clone(),
            None => next_column(columns, from.as_deref())?,
        };
        // Whoever changes the board meanwhile waits, and so does whoever else moves a ticket into the column.
        // Both are held, in one order: who leaves a column does not meet who gives its tickets other places.
        for held in BTreeSet::from([from.as_deref(), Some(key.as_str())])
            .into_iter()
            .flatten()
        {
            board_columns::hold_column(tx, ticket.project_id, held).await?;
        }
        let board = board_columns::of_project(tx, ticket.project_id).await?;
        let column = board.columns.iter().find(|column| column.key == key);
        let Some(column) = column else {
            return Err(TicketCommandError::NoColumn(key));
        };
        let others = board_positions::others_in_column(tx, &ticket, column, OTHERS_MAX).await?;
        if from.as_deref() != Some(key.as_str()) {
            let wanted = PersonMove {
                target: TicketTarget::Phase(ticket.phase_id),
                is_forced: wish.is_forced,
                reason,
            };
            enter_column(tx, &mut ticket, column, wanted).await?;
            if wish.is_forced {
                tell_forced(tx, &ticket, reason);
            }
        }
        let place = wish.place.map_or(others.len(), |place| place as usize);
        let place = place.min(others.len());
        let ranks = ranks_to_give(ticket.id, &others, place);
        board_positions::set_ranks(tx, &key, &ranks).await?;
        board_positions::tell_move(tx, &ticket, from.as_deref(), &key, place as u32);
        Ok(BoardMoveDone {
            ticket,
            column: key,
        })
    });
    keep_gate_refusal(tenant, id, moved.await).await
}

fn next_column(
    columns: &[ColumnDefinition],
    from: Option<&str>,
) -> Result<String, TicketCommandError> {
    let from = from.unwrap_or_default();
    let column = columns.iter().find(|column| column.key == from);
    let next = column.and_then(|column| column.auto_transition_to.clone());
    next.ok_or_else(|| TicketCommandError::NoNextColumn(from.to_owned()))
}

/// Brings a ticket into the first phase of `column` that its own leads to, as `wanted` says but for the phase.
async fn enter_column(
    tx: &mut Tx,
    ticket: &mut Ticket,
    column: &ColumnDefinition,
    wanted: PersonMove<'_>,
) -> Result<(), TicketCommandError> {
    // A ticket that was held up in a phase of the column is there once it goes on.
    let held = column
        .phases
        .contains(&ticket.phase_id)
        .then_some(ticket.phase_id);
    let of_column = column
        .phases
        .iter()
        .copied()
        .filter(|phase| *phase != PhaseId::Blocked);
    let mut refused = None;
    for phase in held.into_iter().chain(of_column) {
        let wanted = PersonMove {
            target: TicketTarget::Phase(phase),
            ..wanted
        };
        match move_for_person(tx, ticket, wanted).await {
            Ok(()) => return Ok(()),
            // Another phase of the column may be one that it can go to.
            Err(PersonMoveError::Refused(refusal @ TicketMoveRefusal::Phase { .. })) => {
                refused.get_or_insert(refusal);
            }
            Err(other) => return Err(other.into()),
        }
    }
    Err(match refused {
        Some(refusal) => TicketCommandError::Refused(refusal),
        None => TicketCommandError::BlockedColumn(column.key.clone()),
    })
}

/// The ranks that put `ticket` at `place` among the others of its column.
fn ranks_to_give(ticket: TicketId, others: &[RankedTicket], place: usize) -> Vec<(TicketId, i64)> {
    let ranks: Vec<Option<i64>> = others.iter().map(|other| other.rank).collect();
    match plan_rank(&ranks, place) {
        RankPlan::Take(rank) => vec![(ticket, rank)],
        RankPlan::Renumber(all) => {
            let named = |index: Option<usize>| index.map_or(ticket, |index| others[index].id);
            let all = all.into_iter();
            all.map(|(index, rank)| (named(index), rank)).collect()
        }
    }
}

/// Gives the board of a project other columns. Where tickets stand does not change; those of a column that is gone are
/// shown by the one that has their phase now.
///
/// # Errors
/// [`TicketCommandError::Columns`], [`TicketCommandError::StaleBoard`].
pub async fn set_board_columns(
    tenant: &Tenant,
    project: ProjectId,
    columns: Vec<ColumnDefinition>,
    versions: Option<&[i64]>,
) -> Result<BoardColumns, TicketCommandError> {
    check_columns(&columns)?;
    let replaced = tenant.write(CrashPoint::TicketChanged, async |tx| {
        projects::get(tx, project).await?;
        board_columns::hold_board(tx, project).await?;
        let present = board_columns::of_project(tx, project).await?.version;
        if versions.is_some_and(|meant| !meant.contains(&present)) {
            return Err(TicketCommandError::StaleBoard(present));
        }
        Ok(board_columns::replace_columns(tx, project, present, columns).await?)
    });
    replaced.await
}
