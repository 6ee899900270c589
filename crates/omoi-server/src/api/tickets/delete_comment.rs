//! Takes a comment away.

use axum::http::StatusCode;

use omoi_domain::access::permission::Permission;
use omoi_execution::commands::{self, CommentOfTicket};

use super::{CommentPath, ProjectOfTicket};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Takes a comment of one's own away; with the permission `ticket:delete` anybody's.
#[utoipa::path(
    delete, path = "/tickets/{ticket_id}/comments/{comment_id}", tag = "tickets",
    params(CommentPath, ProjectOfTicket, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((status = 204, description = "The comment is taken away."))
)]
pub(super) async fn delete_comment(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<CommentPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    meant: MeantVersions,
) -> Result<StatusCode, ApiError> {
    let which = CommentOfTicket {
        ticket: caller.find_ticket(&path.ticket_id, &of).await?.id,
        comment: path.comment_id,
        versions: meant.0,
    };
    let is_any_author = caller.has_also(Permission::TicketDelete);
    commands::delete_comment(caller.own_rows(), &which, is_any_author).await?;
    Ok(StatusCode::NO_CONTENT)
}
