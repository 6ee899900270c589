//! Finishes a ticket.

use axum::Json;

use omoi_domain::lifecycle::ticket::TicketTarget;
use omoi_domain::workflow::PhaseId;
use omoi_execution::commands::{self, TicketMoveWish};
use omoi_protocol::api::TicketPhaseMove;

use super::phase_move::made_move;
use super::{ProjectOfTicket, TicketPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Moves a ticket to its end; the gate of each phase on the way must be met.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/complete", tag = "phases", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The move that was made.", body = TicketPhaseMove))
)]
pub(super) async fn complete_ticket(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<TicketPhaseMove> {
    let before = caller.find_ticket(&path.ticket_id, &of).await?;
    let wish = TicketMoveWish {
        target: TicketTarget::Phase(PhaseId::Done),
        is_forced: false,
        reason: None,
        versions: None,
    };
    let after = commands::move_ticket(caller.own_rows(), before.id, &wish).await?;
    Ok(Json(made_move(&caller, &before, &after).await?))
}
