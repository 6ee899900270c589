//! Comments on a ticket.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use omoi_execution::commands;
use omoi_protocol::api::{CommentView, WriteComment};

use super::{ProjectOfTicket, TicketPath, answered_comment};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Comments on a ticket. Whom the text mentions belongs to the organisation.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/comments", tag = "tickets", request_body = WriteComment,
    params(TicketPath, ProjectOfTicket),
    responses((
        status = 201, description = "The comment.", body = CommentView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn add_comment(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<WriteComment>,
) -> Result<Response, ApiError> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let comment = commands::add_comment(caller.own_rows(), ticket.id, &body.content).await?;
    let answer = answered_comment(&caller, comment).await?;
    Ok((StatusCode::CREATED, answer).into_response())
}
