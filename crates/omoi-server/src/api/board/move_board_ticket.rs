//! Moves a ticket on the board.

use axum::Json;

use omoi_domain::access::permission::Permission;
use omoi_domain::error_code::ErrorCode;
use omoi_execution::commands::{self, BoardMoveDone, BoardMoveWish};
use omoi_protocol::api::{MoveBoardTicket, MovedBoardTicket};

use super::BoardQuery;
use crate::api::Answer;
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::ProjectOfTicket;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Moves a ticket to a column and a place in it.
///
/// The ticket goes to a phase of the column where its gate is met and the column has room; one that is held up goes on by
/// that. Which version of the ticket is meant is said by `If-Match` or `expected_version`.
#[utoipa::path(
    post, path = "/board/move", tag = "board", request_body = MoveBoardTicket,
    params(BoardQuery, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((status = 200, description = "Where the ticket is then.", body = MovedBoardTicket))
)]
pub(super) async fn move_board_ticket(
    caller: Allowed<needs::TicketWrite>,
    ApiQuery(of): ApiQuery<BoardQuery>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<MoveBoardTicket>,
) -> Answer<MovedBoardTicket> {
    let is_named = meant.is_named();
    let versions = match (meant.0, body.expected_version) {
        (versions, None) if is_named => versions,
        (None, Some(version)) => Some(vec![version]),
        (Some(mut versions), Some(version)) => {
            versions.retain(|meant| *meant == version);
            Some(versions)
        }
        (_, None) => {
            let says = "the move does not say which version of the ticket it is meant for";
            return Err(ApiError::new(ErrorCode::PreconditionRequired, says)
                .with_field("/expected_version")
                .hint("read the ticket, and send its `version`"));
        }
    };
    if body.force {
        caller.expect_also(Permission::TicketForce)?;
    }
    let of = ProjectOfTicket {
        project_id: of.asked_project(&caller),
    };
    let id = caller.find_ticket(&body.ticket_id, &of).await?.id;
    let wish = BoardMoveWish {
        column: Some(body.target_column_id),
        place: body.position,
        is_forced: body.force,
        reason: body.reason,
        versions,
    };
    let done = commands::move_on_board(caller.own_rows(), id, &wish).await?;
    Ok(Json(moved_view(done)))
}

/// Where a ticket is after a move.
pub(super) fn moved_view(done: BoardMoveDone) -> MovedBoardTicket {
    MovedBoardTicket {
        ticket_id: done.ticket.id,
        new_phase: done.ticket.phase_id,
        new_column: done.column,
        new_status: done.ticket.status,
        version: done.ticket.state_version,
    }
}
