//! Lists the commits of an agent.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::{CommitView, ListPage};
use omoi_store::attempts;

use super::{COMMITS_MAX, commit_views, commits_between};
use crate::api::agents::AgentPath;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Lists the commits that an agent handed in, newest first; 200 at most.
#[utoipa::path(
    get, path = "/commits/agent/{agent_id}", tag = "commits", params(AgentPath),
    responses((status = 200, description = "The commits.", body = ListPage<CommitView>))
)]
pub(super) async fn list_agent_commits(
    caller: Allowed<needs::TicketRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<AgentPath>,
) -> Answer<ListPage<CommitView>> {
    let rows = caller.own_rows();
    let attempt = rows.read(async |tx| attempts::get(tx, path.agent_id).await);
    let attempt = attempt.await?;
    let mirror = s.mirror_of(attempt.project_id).await?;
    let entries = match (mirror, &attempt.head_sha) {
        (Some(mirror), Some(head)) => {
            commits_between(&mirror, attempt.base_sha.as_deref(), head, COMMITS_MAX).await?
        }
        _ => Vec::new(),
    };
    let views = rows.read(async |tx| commit_views(tx, attempt.project_id, entries).await);
    Ok(Json(ListPage::whole_list(views.await?)))
}
