//! Says yes to a ticket.

use omoi_domain::approval::ApprovalDecision;
use omoi_execution::commands;
use omoi_protocol::api::{ApproveTicket, TicketView};

use super::{ProjectOfTicket, answered};
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::VersionedAnswer;

/// Says that a ticket which waits for a yes may be worked on.
#[utoipa::path(
    post, path = "/tickets/approve", tag = "tickets", request_body = ApproveTicket, params(ProjectOfTicket),
    responses((
        status = 200, description = "The ticket as it is then.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn approve_ticket(
    caller: Allowed<needs::TicketApprove>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<ApproveTicket>,
) -> VersionedAnswer<TicketView> {
    let id = caller.find_ticket(&body.ticket_id, &of).await?.id;
    let decision = ApprovalDecision::Approve;
    let ticket = commands::decide_ticket(caller.own_rows(), id, decision, None).await?;
    answered(&caller, ticket).await
}
