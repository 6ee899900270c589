//! Changes a comment.

use omoi_execution::commands::{self, CommentOfTicket};
use omoi_protocol::api::{CommentView, WriteComment};

use super::{CommentPath, ProjectOfTicket, answered_comment};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, VersionedAnswer};

/// Gives a comment of one's own another text.
#[utoipa::path(
    patch, path = "/tickets/{ticket_id}/comments/{comment_id}", tag = "tickets", request_body = WriteComment,
    params(CommentPath, ProjectOfTicket, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The comment as it is then.", body = CommentView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn edit_comment(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<CommentPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<WriteComment>,
) -> VersionedAnswer<CommentView> {
    let which = CommentOfTicket {
        ticket: caller.find_ticket(&path.ticket_id, &of).await?.id,
        comment: path.comment_id,
        versions: meant.0,
    };
    let comment = commands::edit_comment(caller.own_rows(), &which, &body.content).await?;
    answered_comment(&caller, comment).await
}
