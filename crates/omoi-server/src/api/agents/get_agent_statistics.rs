//! Counts agents.

use std::collections::BTreeMap;

use axum::Json;

use omoi_protocol::api::AgentStatistics;
use omoi_store::attempts;

use super::OfProjects;
use crate::api::Answer;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Tells how many agents there are and were, by role and by where they stand.
#[utoipa::path(
    get, path = "/agents/statistics", tag = "agents", params(OfProjects),
    responses((status = 200, description = "How many.", body = AgentStatistics))
)]
pub(super) async fn get_agent_statistics(
    caller: Allowed<needs::AgentRead>,
    ApiQuery(of): ApiQuery<OfProjects>,
) -> Answer<AgentStatistics> {
    let projects = caller.listed_projects(&of.project_id);
    let counted = caller
        .own_rows()
        .read(async |tx| attempts::count_by_role(tx, &projects).await);
    let mut told = AgentStatistics {
        n_live: 0,
        by_type: BTreeMap::new(),
        by_status: BTreeMap::new(),
    };
    for ((role, state), n) in counted.await? {
        *told.by_type.entry(role.as_str().to_owned()).or_default() += n;
        *told.by_status.entry(state.as_str().to_owned()).or_default() += n;
        told.n_live += if state.is_live() { n } else { 0 };
    }
    Ok(Json(told))
}
