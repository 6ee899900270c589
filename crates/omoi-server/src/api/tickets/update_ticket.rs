//! Changes a ticket.

use omoi_execution::commands::{self, TicketWish};
use omoi_protocol::api::{TicketView, UpdateTicket};
use omoi_store::tickets::TicketEdit;

use super::create_ticket::expect_begun_by;
use super::{ProjectOfTicket, TicketPath, answered};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, VersionedAnswer};

/// Changes what a ticket says, who takes care of it, or its status.
#[utoipa::path(
    patch, path = "/tickets/{ticket_id}", tag = "tickets", request_body = UpdateTicket,
    params(TicketPath, ProjectOfTicket, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The ticket as it is then.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn update_ticket(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<UpdateTicket>,
) -> VersionedAnswer<TicketView> {
    expect_begun_by(&caller, body.workflow_mode)?;
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let wish = TicketWish {
        edit: TicketEdit {
            title: body.title,
            description: body.description,
            priority: body.priority,
            labels: body.labels,
            assignee_id: body.assignee_id,
            check_commands: body.check_commands,
            workflow_mode: body.workflow_mode,
        },
        status: body.status,
        versions: meant.0,
    };
    let ticket = commands::update_ticket(caller.own_rows(), id, wish).await?;
    answered(&caller, ticket).await
}
