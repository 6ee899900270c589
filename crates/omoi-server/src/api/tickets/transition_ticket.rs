//! Moves a ticket to another status.

use omoi_domain::access::permission::Permission;
use omoi_domain::lifecycle::ticket::TicketTarget;
use omoi_execution::commands::{self, TicketMoveWish};
use omoi_protocol::api::{TicketView, TransitionTicket};

use super::{ProjectOfTicket, TicketPath, answered};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, VersionedAnswer};

/// Moves a ticket to another status, and to the phase that goes with it; one that is held up goes on by that.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/transition", tag = "tickets", request_body = TransitionTicket,
    params(TicketPath, ProjectOfTicket, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The ticket as it is then.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn transition_ticket(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<TransitionTicket>,
) -> VersionedAnswer<TicketView> {
    if body.force {
        caller.expect_also(Permission::TicketForce)?;
    }
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let wish = TicketMoveWish {
        target: TicketTarget::Status(body.to_status),
        is_forced: body.force,
        reason: body.reason,
        versions: meant.0,
    };
    let ticket = commands::move_ticket(caller.own_rows(), id, &wish).await?;
    answered(&caller, ticket).await
}
