//! Looks for tickets that say what a draft says.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::{CheckTicketDuplicates, TicketDuplicates};

use super::ProjectOfTicket;
use super::create_ticket::project_of_body;
use crate::api::Answer;
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::ticket_refusal::{DUPLICATE_METHOD, duplicates_of};

/// Looks for open tickets of a project that say what a draft says.
#[utoipa::path(
    post, path = "/tickets/check-duplicates", tag = "tickets", params(ProjectOfTicket),
    request_body = CheckTicketDuplicates,
    responses((status = 200, description = "What was found, up to 5 tickets.", body = TicketDuplicates))
)]
pub(super) async fn check_ticket_duplicates(
    caller: Allowed<needs::TicketRead>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<CheckTicketDuplicates>,
) -> Answer<TicketDuplicates> {
    let project = project_of_body(&caller, &of, body.project_id).await?;
    let (title, description) = (&body.title, &body.description);
    let same = commands::find_duplicates(caller.own_rows(), project, title, description).await?;
    Ok(Json(TicketDuplicates {
        is_duplicate: !same.is_empty(),
        candidates: duplicates_of(&same),
        method: DUPLICATE_METHOD.to_owned(),
    }))
}
