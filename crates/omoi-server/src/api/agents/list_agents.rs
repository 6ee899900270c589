//! Lists agents.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::attempt::{AgentRole, AttemptState};
use omoi_domain::id::{ProjectId, SpecId, TaskId};
use omoi_protocol::api::{AgentView, ListPage};
use omoi_store::attempts::{self, AttemptFilter};

use super::agent_views;
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::list::{ApiList, PagedParams};
use crate::api::policy::needs;
use crate::api::{Answer, ApiSurface, Surface};
use crate::error::ApiError;

/// Which agents.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentListQuery {
    /// Those of this project; of any of them, when it is repeated.
    #[serde(default)]
    project_id: Vec<ProjectId>,
    /// Those for this spec, by row id; for any of them, when it is repeated.
    #[serde(default)]
    for_spec: Vec<SpecId>,
    /// Those at this task or its checks, by row id; at any of them, when it is repeated.
    #[serde(default)]
    for_task: Vec<TaskId>,
    /// Those in this state; in any of them, when it is repeated.
    #[serde(default)]
    status: Vec<AttemptState>,
    /// Those of this role; of any of them, when it is repeated.
    #[serde(default, rename = "type")]
    #[param(rename = "type")]
    role: Vec<AgentRole>,
}

/// Lists agents, live and past, newest first.
#[utoipa::path(
    get, path = "/agents", tag = "agents", params(AgentListQuery, PagedParams),
    responses((status = 200, description = "A page of agents.", body = ListPage<AgentView>))
)]
pub(super) async fn list_agents(
    caller: Allowed<needs::AgentRead>,
    State(s): Surface,
    list: ApiList<AgentListQuery>,
) -> Answer<ListPage<AgentView>> {
    answer_list(&s, &caller, &list).await
}

/// Lists agents as `GET /agents` does, for callers who know it by this address.
#[utoipa::path(
    get, path = "/agents/search", tag = "agents", params(AgentListQuery, PagedParams),
    responses((status = 200, description = "A page of agents.", body = ListPage<AgentView>))
)]
pub(super) async fn search_agents(
    caller: Allowed<needs::AgentRead>,
    State(s): Surface,
    list: ApiList<AgentListQuery>,
) -> Answer<ListPage<AgentView>> {
    answer_list(&s, &caller, &list).await
}

async fn answer_list(
    s: &ApiSurface,
    caller: &ApiCaller,
    list: &ApiList<AgentListQuery>,
) -> Answer<ListPage<AgentView>> {
    let asked = list.asked_page(s, caller, "-created_at")?;
    let wanted = &list.filter;
    let filter = AttemptFilter {
        window: list.created_window()?,
        projects: caller.listed_projects(&wanted.project_id),
        specs: wanted.for_spec.clone(),
        tasks: wanted.for_task.clone(),
        states: wanted.status.clone(),
        roles: wanted.role.clone(),
    };
    let page = caller.own_rows().read(async |tx| {
        let mut page = attempts::list_page(tx, &filter, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = agent_views(tx, found).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(s, caller, page.await?))
}
