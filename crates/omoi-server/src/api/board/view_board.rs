//! Shows a board.

use std::collections::BTreeMap;

use axum::Json;

use omoi_domain::workflow::ColumnDefinition;
use omoi_protocol::api::{BoardColumnView, BoardView, TicketView};
use omoi_store::{board_columns, board_positions};

use super::BoardQuery;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::ticket_view::ticket_views;
use crate::api::{Answer, find};
use crate::error::ApiError;

/// Tickets of a column that are shown at most.
const SHOWN_MAX: u32 = 100;

/// Shows the board of a project: each column with its first 100 tickets, in the order that people gave them.
///
/// Tickets that were turned down are not shown; those that something holds up are in the column of `PHASE_BLOCKED`.
#[utoipa::path(
    get, path = "/board/view", tag = "board", params(BoardQuery),
    responses((status = 200, description = "The board.", body = BoardView))
)]
pub(super) async fn view_board(
    caller: Allowed<needs::TicketRead>,
    ApiQuery(of): ApiQuery<BoardQuery>,
) -> Answer<BoardView> {
    let asked = of.asked_project(&caller);
    let board = caller.own_rows().read(async |tx| {
        let project_id = find::find_project(tx, asked).await?;
        let columns = board_columns::of_project(tx, project_id).await?.columns;
        let placed =
            board_positions::placed_of_project(tx, project_id, &columns, SHOWN_MAX).await?;
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        for shown in placed {
            counts.insert(shown.column_key.clone(), shown.n_in_column);
            keys.push(shown.column_key);
            rows.push(shown.ticket);
        }
        let mut tickets: BTreeMap<String, Vec<TicketView>> = BTreeMap::new();
        for (key, view) in keys.into_iter().zip(ticket_views(tx, rows).await?) {
            tickets.entry(key).or_default().push(view);
        }
        let columns = (0..).zip(columns).map(|(order, column)| {
            let count = counts.get(&column.key).copied().unwrap_or_default();
            let tickets = tickets.remove(&column.key).unwrap_or_default();
            column_view(order, column, count, tickets)
        });
        Ok::<_, ApiError>(BoardView {
            project_id,
            columns: columns.collect(),
        })
    });
    Ok(Json(board.await?))
}

fn column_view(
    sequence_order: u32,
    column: ColumnDefinition,
    current_count: u32,
    tickets: Vec<TicketView>,
) -> BoardColumnView {
    BoardColumnView {
        id: column.key,
        name: column.name,
        description: column.description,
        sequence_order,
        phase_mapping: column.phases,
        wip_limit: column.wip_limit,
        is_terminal: column.is_terminal,
        auto_transition_to: column.auto_transition_to,
        color_theme: column.color_theme,
        current_count,
        wip_exceeded: column.wip_limit.is_some_and(|limit| current_count > limit),
        more: current_count as usize > tickets.len(),
        tickets,
    }
}
