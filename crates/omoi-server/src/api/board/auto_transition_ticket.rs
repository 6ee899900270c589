//! Moves a ticket to the column that its own goes on to.

use axum::Json;

use omoi_execution::commands::{self, BoardMoveWish};
use omoi_protocol::api::MovedBoardTicket;

use super::move_board_ticket::moved_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::{ProjectOfTicket, TicketPath};

/// Moves a ticket to the end of the column that its own goes on to.
#[utoipa::path(
    post, path = "/board/auto-transition/{ticket_id}", tag = "board", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "Where the ticket is then.", body = MovedBoardTicket))
)]
pub(super) async fn auto_transition_ticket(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<MovedBoardTicket> {
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let wish = BoardMoveWish {
        column: None,
        place: None,
        is_forced: false,
        reason: None,
        versions: None,
    };
    let done = commands::move_on_board(caller.own_rows(), id, &wish).await?;
    Ok(Json(moved_view(done)))
}
