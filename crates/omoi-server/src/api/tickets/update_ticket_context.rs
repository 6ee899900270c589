//! Builds what the work on a ticket came to.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::{TicketContextView, UpdateTicketContext};
use omoi_store::ticket_contexts;

use super::get_ticket_context::context_view;
use super::{ProjectOfTicket, TicketPath};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Builds what the tasks of one phase of a ticket came to, from how they stand now.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/update-context", tag = "tickets", request_body = UpdateTicketContext,
    params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The context as it is then.", body = TicketContextView))
)]
pub(super) async fn update_ticket_context(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<UpdateTicketContext>,
) -> Answer<TicketContextView> {
    let ticket_id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let rows = caller.own_rows();
    caller
        .act_once(commands::update_ticket_context(
            rows,
            ticket_id,
            body.phase_id,
        ))
        .await?;
    let contexts = rows.read(async |tx| ticket_contexts::of_ticket(tx, ticket_id).await);
    Ok(Json(TicketContextView {
        ticket_id,
        phases: contexts.await?.into_iter().map(context_view).collect(),
    }))
}
