//! Shows what a commit changes.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::CommitDiffView;

use super::{CommitPath, MirrorOfProject, diff_view};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Shows what a commit changes, compared with its first parent.
#[utoipa::path(
    get, path = "/commits/{commit_sha}/diff", tag = "commits", params(CommitPath, MirrorOfProject),
    responses((status = 200, description = "What it changes.", body = CommitDiffView))
)]
pub(super) async fn get_commit_diff(
    caller: Allowed<needs::TicketRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<CommitPath>,
    ApiQuery(of): ApiQuery<MirrorOfProject>,
) -> Answer<CommitDiffView> {
    let found = s
        .find_commit(&caller, &path.commit_sha, of.project_id)
        .await?;
    let before = found.entry.parents.first();
    Ok(Json(
        diff_view(&found.mirror, before, &found.entry.id).await?,
    ))
}
