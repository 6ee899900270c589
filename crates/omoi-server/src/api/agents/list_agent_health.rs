//! Tells how the agents at work do.

use axum::Json;

use omoi_protocol::api::{AgentHealth, ListPage};
use omoi_store::attempts;

use super::{OfProjects, health_of};
use crate::api::Answer;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Tells how every agent does that is not over, the oldest first.
#[utoipa::path(
    get, path = "/agents/health", tag = "agents", params(OfProjects),
    responses((status = 200, description = "How they do.", body = ListPage<AgentHealth>))
)]
pub(super) async fn list_agent_health(
    caller: Allowed<needs::AgentRead>,
    ApiQuery(of): ApiQuery<OfProjects>,
) -> Answer<ListPage<AgentHealth>> {
    let projects = caller.listed_projects(&of.project_id);
    let read = caller.own_rows().read(async |tx| {
        let mut items = Vec::new();
        for attempt in attempts::live_of_projects(tx, &projects).await? {
            items.push(health_of(tx, &attempt).await?);
        }
        Ok::<_, ApiError>(items)
    });
    Ok(Json(ListPage::whole_list(read.await?)))
}
