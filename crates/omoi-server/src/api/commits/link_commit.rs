//! Ties a commit to a ticket.

use axum::Json;
use axum::extract::State;

use omoi_execution::commands;
use omoi_protocol::api::{CommitView, LinkCommit};

use super::commit_view;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::{ProjectOfTicket, TicketPath};
use crate::api::{Answer, Surface};

/// Ties a commit of the ticket's project to the ticket; one that is tied stays so.
#[utoipa::path(
    post, path = "/commits/ticket/{ticket_id}/link", tag = "commits", request_body = LinkCommit,
    params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The commit.", body = CommitView))
)]
pub(super) async fn link_commit(
    caller: Allowed<needs::TicketWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<LinkCommit>,
) -> Answer<CommitView> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let project = Some(ticket.project_id);
    let found = s.find_commit(&caller, &body.commit_sha, project).await?;
    let (rows, sha) = (caller.own_rows(), found.entry.id.to_string());
    caller
        .act_once(commands::link_commit(rows, ticket.id, &sha))
        .await?;
    let view = rows.read(async |tx| commit_view(tx, found.project, found.entry).await);
    Ok(Json(view.await?))
}
