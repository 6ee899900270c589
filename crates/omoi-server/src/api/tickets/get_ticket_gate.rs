//! Shows whether the gate of a ticket's phase is met.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::TicketPhaseMove;

use super::phase_move::outlook_view;
use super::{ProjectOfTicket, TicketPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Shows whether a ticket could go to the phase that usually follows its own, and what is missing for that.
#[utoipa::path(
    get, path = "/tickets/{ticket_id}/gate-status", tag = "phases", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The move as it would be.", body = TicketPhaseMove))
)]
pub(super) async fn get_ticket_gate(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<TicketPhaseMove> {
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let outlook = commands::look_at_move(caller.own_rows(), id, None).await?;
    Ok(Json(outlook_view(&caller, outlook).await?))
}
