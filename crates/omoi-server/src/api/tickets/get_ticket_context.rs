//! Shows what the work on a ticket came to.

use axum::Json;

use omoi_protocol::api::{PhaseContextView, TicketContextView};
use omoi_store::ticket_contexts::{self, TicketContext};

use super::{ProjectOfTicket, TicketPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Shows what the work on a ticket came to by phase, as far as that was built.
#[utoipa::path(
    get, path = "/tickets/{ticket_id}/context", tag = "tickets", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The context.", body = TicketContextView))
)]
pub(super) async fn get_ticket_context(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<TicketContextView> {
    let ticket_id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let rows = caller
        .own_rows()
        .read(async |tx| ticket_contexts::of_ticket(tx, ticket_id).await);
    Ok(Json(TicketContextView {
        ticket_id,
        phases: rows.await?.into_iter().map(context_view).collect(),
    }))
}

/// A context as people see it.
pub(super) fn context_view(row: TicketContext) -> PhaseContextView {
    PhaseContextView {
        phase_id: row.phase_id,
        summary: row.summary,
        tasks: row.tasks.0,
        actor: row.actor,
        updated_at: row.updated_at.into(),
    }
}
