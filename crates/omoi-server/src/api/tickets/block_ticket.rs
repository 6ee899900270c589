//! Holds a ticket up.

use omoi_execution::commands;
use omoi_protocol::api::{BlockTicket, TicketView};

use super::{ProjectOfTicket, TicketPath, answered};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::VersionedAnswer;

/// Holds a ticket up: none of its tasks starts until it goes on; those at work are let finish.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/block", tag = "tickets", request_body = BlockTicket,
    params(TicketPath, ProjectOfTicket),
    responses((
        status = 200, description = "The ticket as it is then.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn block_ticket(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<BlockTicket>,
) -> VersionedAnswer<TicketView> {
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let detail = body.suggested_remediation.as_deref();
    let tenant = caller.own_rows();
    let ticket = commands::block_ticket(tenant, id, body.blocker_type, detail).await?;
    answered(&caller, ticket).await
}
