//! Has the work on a ticket begin.

use omoi_domain::ticket::WorkflowMode;
use omoi_execution::commands::{self, TicketWish};
use omoi_protocol::api::TicketView;
use omoi_store::tickets::TicketEdit;

use super::create_ticket::expect_begun_by;
use super::{ProjectOfTicket, TicketPath, answered};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::VersionedAnswer;

/// Has one task written for a ticket that waits in its phase, as for one of the mode `quick`: once nothing stands against it.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/spawn-phase-tasks", tag = "phases", params(TicketPath, ProjectOfTicket),
    responses((
        status = 200, description = "The ticket as it is then.", body = TicketView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn spawn_phase_tasks(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> VersionedAnswer<TicketView> {
    expect_begun_by(&caller, Some(WorkflowMode::Quick))?;
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let wish = TicketWish {
        edit: TicketEdit {
            workflow_mode: Some(WorkflowMode::Quick),
            ..TicketEdit::default()
        },
        ..TicketWish::default()
    };
    let ticket = commands::update_ticket(caller.own_rows(), id, wish).await?;
    answered(&caller, ticket).await
}
