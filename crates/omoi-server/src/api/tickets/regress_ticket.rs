//! Sends a ticket back.

use omoi_domain::lifecycle::ticket::TicketTarget;
use omoi_execution::commands::{self, TicketMoveWish};
use omoi_protocol::api::{RegressTicket, TicketView};

use super::{ProjectOfTicket, TicketPath, answered};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::VersionedAnswer;

/// Sends a ticket that is built, under test or being deployed back to building, and keeps why in its history.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/regress", tag = "tickets", request_body = RegressTicket,
    params(TicketPath, ProjectOfTicket),
    responses((
        status = 200, description = "The ticket as it is then.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn regress_ticket(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<RegressTicket>,
) -> VersionedAnswer<TicketView> {
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let wish = TicketMoveWish {
        target: TicketTarget::BackToBuilding,
        is_forced: false,
        reason: Some(body.feedback),
        versions: None,
    };
    let ticket = commands::move_ticket(caller.own_rows(), id, &wish).await?;
    answered(&caller, ticket).await
}
