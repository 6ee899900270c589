//! Says no to a ticket.

use omoi_domain::approval::ApprovalDecision;
use omoi_execution::commands;
use omoi_protocol::api::{RejectTicket, TicketView};

use super::{ProjectOfTicket, answered};
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::VersionedAnswer;

/// Says that a ticket which waits for a yes is not worked on, and why. No board shows it from then on.
#[utoipa::path(
    post, path = "/tickets/reject", tag = "tickets", request_body = RejectTicket, params(ProjectOfTicket),
    responses((
        status = 200, description = "The ticket as it is then.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn reject_ticket(
    caller: Allowed<needs::TicketApprove>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<RejectTicket>,
) -> VersionedAnswer<TicketView> {
    let id = caller.find_ticket(&body.ticket_id, &of).await?.id;
    let (decision, reason) = (
        ApprovalDecision::Reject,
        Some(body.rejection_reason.as_str()),
    );
    let ticket = commands::decide_ticket(caller.own_rows(), id, decision, reason).await?;
    answered(&caller, ticket).await
}
