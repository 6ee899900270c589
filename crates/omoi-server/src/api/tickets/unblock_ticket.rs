//! Lets a ticket go on.

use axum::extract::State;

use omoi_execution::commands;
use omoi_planning::commands::resume_ticket_work;
use omoi_protocol::api::TicketView;

use super::{ProjectOfTicket, TicketPath, answered};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::VersionedAnswer;

/// Lets a ticket go on in the phase that it is in; nothing changes where nothing holds it up.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/unblock", tag = "tickets", params(TicketPath, ProjectOfTicket),
    responses((
        status = 200, description = "The ticket as it is then.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn unblock_ticket(
    caller: Allowed<needs::TicketWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> VersionedAnswer<TicketView> {
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    resume_ticket_work(&s.parts.policy, caller.own_rows(), id).await?;
    let ticket = commands::unblock_ticket(caller.own_rows(), id).await?;
    answered(&caller, ticket).await
}
