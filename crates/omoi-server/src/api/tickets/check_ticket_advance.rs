//! Moves a ticket on where its gate is met.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::TicketPhaseMove;

use super::phase_move::{made_move, outlook_view};
use super::{ProjectOfTicket, TicketPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Moves a ticket to the phase that usually follows its own where its gate is met, and else tells what is missing.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/check-advance", tag = "phases", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The move, made or not.", body = TicketPhaseMove))
)]
pub(super) async fn check_ticket_advance(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<TicketPhaseMove> {
    let tenant = caller.own_rows();
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let outlook = commands::look_at_move(tenant, id, None).await?;
    if !outlook.reasons.is_empty() {
        return Ok(Json(outlook_view(&caller, outlook).await?));
    }
    let after = commands::progress_ticket(tenant, id).await?;
    Ok(Json(made_move(&caller, &outlook.ticket, &after).await?))
}
