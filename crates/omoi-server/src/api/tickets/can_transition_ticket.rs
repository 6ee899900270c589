//! Tells whether a ticket could go to a phase.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::workflow::PhaseId;
use omoi_execution::commands;
use omoi_protocol::api::{EXAMPLE_TICKET, TicketPhaseMove};

use super::ProjectOfTicket;
use super::phase_move::outlook_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Which ticket, and where to.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TicketPhasePath {
    /// Row id of the ticket, or its reference `TKT-n`.
    #[param(
        example = json!(EXAMPLE_TICKET),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Kk][Tt]-0*[1-9][0-9]{0,17})$"
    )]
    ticket_id: String,
    /// The phase.
    #[param(inline, example = json!("PHASE_IMPLEMENTATION"))]
    to_phase: PhaseId,
}

/// Tells whether a ticket could go to a phase now, and what is against it.
#[utoipa::path(
    get, path = "/tickets/{ticket_id}/can-transition/{to_phase}", tag = "phases",
    params(TicketPhasePath, ProjectOfTicket),
    responses((status = 200, description = "The move as it would be.", body = TicketPhaseMove))
)]
pub(super) async fn can_transition_ticket(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<TicketPhasePath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<TicketPhaseMove> {
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let to_phase = Some(path.to_phase);
    let outlook = commands::look_at_move(caller.own_rows(), id, to_phase).await?;
    Ok(Json(outlook_view(&caller, outlook).await?))
}
