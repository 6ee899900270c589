//! Makes a ticket wait for another one.

use omoi_execution::commands;
use omoi_protocol::api::{AddTicketDependency, TicketView};

use super::{ProjectOfTicket, TicketPath, answered};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::VersionedAnswer;

/// Makes a ticket wait for another one of its project: none of its tasks starts before that one is done.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/dependencies", tag = "tickets", request_body = AddTicketDependency,
    params(TicketPath, ProjectOfTicket),
    responses((
        status = 200, description = "The ticket that waits.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn add_ticket_dependency(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<AddTicketDependency>,
) -> VersionedAnswer<TicketView> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let of = ProjectOfTicket {
        project_id: Some(ticket.project_id),
    };
    let prerequisite = caller.find_ticket(&body.depends_on, &of).await?;
    let tenant = caller.own_rows();
    let ticket = commands::add_ticket_dependency(tenant, ticket.id, prerequisite.id).await?;
    answered(&caller, ticket).await
}
