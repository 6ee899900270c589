//! Shows a commit.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::CommitView;

use super::{CommitPath, MirrorOfProject, commit_view};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Shows a commit of a repository, with whose work it is where an agent made it.
#[utoipa::path(
    get, path = "/commits/{commit_sha}", tag = "commits", params(CommitPath, MirrorOfProject),
    responses((status = 200, description = "The commit.", body = CommitView))
)]
pub(super) async fn get_commit(
    caller: Allowed<needs::TicketRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<CommitPath>,
    ApiQuery(of): ApiQuery<MirrorOfProject>,
) -> Answer<CommitView> {
    let found = s
        .find_commit(&caller, &path.commit_sha, of.project_id)
        .await?;
    let view = caller
        .own_rows()
        .read(async |tx| commit_view(tx, found.project, found.entry).await);
    Ok(Json(view.await?))
}
