//! Moves a ticket to the phase that follows.

use omoi_execution::commands;
use omoi_protocol::api::TicketView;

use super::{ProjectOfTicket, TicketPath, answered};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::VersionedAnswer;

/// Moves a ticket to the phase that usually follows its own, where its gate is met.
///
/// A deployment is passed by: nothing proves one yet.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/progress", tag = "tickets", params(TicketPath, ProjectOfTicket),
    responses((
        status = 200, description = "The ticket as it is then.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn progress_ticket(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> VersionedAnswer<TicketView> {
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let ticket = commands::progress_ticket(caller.own_rows(), id).await?;
    answered(&caller, ticket).await
}
