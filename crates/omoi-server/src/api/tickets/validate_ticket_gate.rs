//! Has the gate of a ticket's phase looked at.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::GateResultView;

use super::{ProjectOfTicket, TicketPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::ticket_view::gate_result_view;

/// Has the gate of a ticket's phase say whether the ticket could leave it, and keeps that. The ticket stays where it is.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/validate-gate", tag = "phases", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "What the gate says.", body = GateResultView))
)]
pub(super) async fn validate_ticket_gate(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<GateResultView> {
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let said = commands::validate_gate(caller.own_rows(), id).await?;
    Ok(Json(gate_result_view(said)))
}
