//! Shows a ticket.

use omoi_protocol::api::TicketView;

use super::{ProjectOfTicket, TicketPath, answered};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::VersionedAnswer;

/// Shows a ticket.
#[utoipa::path(
    get, path = "/tickets/{ticket_id}", tag = "tickets", params(TicketPath, ProjectOfTicket),
    responses((
        status = 200, description = "The ticket.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn get_ticket(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> VersionedAnswer<TicketView> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    answered(&caller, ticket).await
}
