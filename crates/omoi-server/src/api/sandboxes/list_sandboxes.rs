//! Lists the sandboxes in which somebody works.

use axum::Json;

use omoi_protocol::api::{AgentView, ListPage};
use omoi_store::attempts;

use crate::api::Answer;
use crate::api::agents::{OfProjects, agent_views};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Lists what runs in sandboxes now, the oldest first.
#[utoipa::path(
    get, path = "/sandboxes/monitoring/status", tag = "sandboxes", params(OfProjects),
    responses((status = 200, description = "What runs.", body = ListPage<AgentView>))
)]
pub(super) async fn list_live_sandboxes(
    caller: Allowed<needs::SandboxRead>,
    ApiQuery(of): ApiQuery<OfProjects>,
) -> Answer<ListPage<AgentView>> {
    let projects = caller.listed_projects(&of.project_id);
    let read = caller.own_rows().read(async |tx| {
        let live = attempts::live_of_projects(tx, &projects).await?;
        Ok::<_, ApiError>(agent_views(tx, live).await?)
    });
    Ok(Json(ListPage::whole_list(read.await?)))
}
