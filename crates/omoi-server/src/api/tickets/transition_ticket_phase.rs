//! Moves a ticket to another phase.

use axum::Json;

use omoi_domain::access::permission::Permission;
use omoi_domain::lifecycle::ticket::TicketTarget;
use omoi_execution::commands::{self, TicketMoveWish};
use omoi_protocol::api::{TicketPhaseMove, TransitionTicketPhase};

use super::phase_move::made_move;
use super::{ProjectOfTicket, TicketPath};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};

/// Moves a ticket to another phase, by as many moves as lead there; the gate of each phase on the way must be met.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/phase-transition", tag = "phases", request_body = TransitionTicketPhase,
    params(TicketPath, ProjectOfTicket, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((status = 200, description = "The move that was made.", body = TicketPhaseMove))
)]
pub(super) async fn transition_ticket_phase(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<TransitionTicketPhase>,
) -> Answer<TicketPhaseMove> {
    if body.force {
        caller.expect_also(Permission::TicketForce)?;
    }
    let before = caller.find_ticket(&path.ticket_id, &of).await?;
    let wish = TicketMoveWish {
        target: TicketTarget::Phase(body.to_phase),
        is_forced: body.force,
        reason: body.reason,
        versions: meant.0,
    };
    let after = commands::move_ticket(caller.own_rows(), before.id, &wish).await?;
    Ok(Json(made_move(&caller, &before, &after).await?))
}
