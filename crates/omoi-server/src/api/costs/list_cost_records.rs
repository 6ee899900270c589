//! Lists what model calls cost.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{AttemptId, ProjectId, SpecId, TaskId};
use omoi_protocol::api::{CostRecordView, ListPage};
use omoi_store::costs::{self, CostEntry, CostFilter};

use crate::api::caller::Allowed;
use crate::api::list::{ApiList, PagedParams};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Which records.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct CostListQuery {
    /// Those of this project; of any of them, when it is repeated.
    #[serde(default)]
    project_id: Vec<ProjectId>,
    /// Those that this spec paid for, by row id; any of them, when it is repeated.
    #[serde(default)]
    for_spec: Vec<SpecId>,
    /// Those of agents at this task or its checks, by row id; at any of them, when it is repeated.
    #[serde(default)]
    for_task: Vec<TaskId>,
    /// Those that this agent asked for; any of them, when it is repeated.
    #[serde(default)]
    for_agent: Vec<AttemptId>,
}

/// Lists what model calls cost, newest first.
#[utoipa::path(
    get, path = "/costs/records", tag = "costs", params(CostListQuery, PagedParams),
    responses((status = 200, description = "A page of records.", body = ListPage<CostRecordView>))
)]
pub(super) async fn list_cost_records(
    caller: Allowed<needs::CostRead>,
    State(s): Surface,
    list: ApiList<CostListQuery>,
) -> Answer<ListPage<CostRecordView>> {
    let asked = list.asked_page(&s, &caller, "-created_at")?;
    let wanted = &list.filter;
    let filter = CostFilter {
        projects: caller.listed_projects(&wanted.project_id),
        specs: wanted.for_spec.clone(),
        tasks: wanted.for_task.clone(),
        attempts: wanted.for_agent.clone(),
        window: list.created_window()?,
    };
    let page = caller
        .own_rows()
        .read(async |tx| costs::list_page(tx, &filter, &asked).await);
    let mut page = page.await?;
    let views = std::mem::take(&mut page.rows).into_iter().map(record_view);
    let views = views.collect();
    Ok(list.answer_page(&s, &caller, page.replace_rows(views)))
}

fn record_view(entry: CostEntry) -> CostRecordView {
    let total_tokens = entry.n_tokens();
    let CostEntry { route, model, .. } = entry;
    CostRecordView {
        id: entry.id,
        spec_id: entry.spec_id,
        agent_id: entry.attempt_id,
        purpose: entry.purpose,
        role: entry.role,
        route,
        simulated: entry.simulated,
        prompt_tokens: entry.input_tokens,
        completion_tokens: entry.output_tokens,
        cache_read_tokens: entry.cache_read_tokens,
        cache_write_tokens: entry.cache_write_tokens + entry.cache_write_1h_tokens,
        total_tokens,
        total_cost: entry.cost_nanousd.into(),
        calls: entry.calls,
        latency_ms: entry.latency_ms,
        estimated: entry.estimated,
        unrecorded: entry.unrecorded,
        recorded_at: entry.created_at.into(),
        model,
    }
}
