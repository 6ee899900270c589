//! Moves a ticket on whose phase is complete.

use axum::Json;

use omoi_domain::lifecycle::ticket::TicketMoveRefusal;
use omoi_execution::commands::{self, TicketCommandError};
use omoi_protocol::api::TicketPhaseMove;

use super::phase_move::{made_move, outlook_view};
use super::{ProjectOfTicket, TicketPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Moves a ticket to the phase that usually follows its own where all work of its phase has ended and its gate is met.
///
/// Where the work has ended and the gate is not met, the ticket is held up, and people are asked whether it may pass.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/check-phase-completion", tag = "tickets", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The move, made or not.", body = TicketPhaseMove))
)]
pub(super) async fn check_phase_completion(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<TicketPhaseMove> {
    let tenant = caller.own_rows();
    let before = caller.find_ticket(&path.ticket_id, &of).await?;
    let refused = match commands::progress_ticket(tenant, before.id).await {
        Ok(after) => return Ok(Json(made_move(&caller, &before, &after).await?)),
        Err(refused) => refused,
    };
    match refused {
        TicketCommandError::Refused(TicketMoveRefusal::GateNotMet(_))
        | TicketCommandError::NothingFollows(_) => {
            let outlook = commands::look_at_move(tenant, before.id, None).await?;
            Ok(Json(outlook_view(&caller, outlook).await?))
        }
        other => Err(other.into()),
    }
}
