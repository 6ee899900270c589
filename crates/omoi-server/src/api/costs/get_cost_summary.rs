//! Tells what something cost.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use omoi_domain::id::{AttemptId, ProjectId, SpecId, TaskId};
use omoi_domain::money::NanoUsd;
use omoi_protocol::api::{ApiTime, CostScope, CostSummary, ModelCostView};
use omoi_store::costs::{self, CostFilter, ModelCost};
use omoi_store::row_page::ListWindow;
use omoi_store::{StoreError, Tx, attempts, projects, specs, tasks};

use crate::api::Answer;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// What is summed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct CostSummaryQuery {
    /// What kind of row; all of the organisation without it.
    #[param(inline)]
    scope_type: Option<CostScope>,
    /// Which row; none of an organisation.
    scope_id: Option<Uuid>,
    /// The project of that row, for the key of one project.
    project_id: Option<ProjectId>,
    /// Only calls that ended after this.
    created_after: Option<ApiTime>,
    /// Only calls that ended before this.
    created_before: Option<ApiTime>,
}

/// Tells what an organisation, a project, a spec, a task or an agent cost, by model.
#[utoipa::path(
    get, path = "/costs/summary", tag = "costs", params(CostSummaryQuery),
    responses((status = 200, description = "What it cost.", body = CostSummary))
)]
pub(super) async fn get_cost_summary(
    caller: Allowed<needs::CostRead>,
    ApiQuery(query): ApiQuery<CostSummaryQuery>,
) -> Answer<CostSummary> {
    let scope = query.scope_type.unwrap_or(CostScope::Organization);
    let id = expect_scope_id(scope, query.scope_id)?;
    let asked: Vec<ProjectId> = query.project_id.into_iter().collect();
    let filter = CostFilter {
        projects: caller.listed_projects(&asked),
        window: ListWindow {
            created_after: query.created_after.map(ApiTime::to_timestamp),
            created_before: query.created_before.map(ApiTime::to_timestamp),
            ..ListWindow::default()
        },
        ..CostFilter::default()
    };
    let read = caller.own_rows().read(async |tx| {
        let filter = scoped_filter(tx, scope, id, filter).await?;
        costs::sum_by_model(tx, &filter).await
    });
    Ok(Json(summary_of(scope, query.scope_id, &read.await?)))
}

/// The row of a scope; nothing of an organisation, which is the one of the request.
fn expect_scope_id(scope: CostScope, id: Option<Uuid>) -> Result<Uuid, ApiError> {
    match (scope, id) {
        (CostScope::Organization, None) => Ok(Uuid::nil()),
        (CostScope::Organization, Some(_)) => {
            let says = "an organisation has no `scope_id`: it is the one of the request";
            Err(ApiError::invalid_value(says).with_field("scope_id"))
        }
        (_, Some(id)) => Ok(id),
        (_, None) => {
            let says = format!("`scope_id` is the id of the {scope}");
            Err(ApiError::invalid_value(says).with_field("scope_id"))
        }
    }
}

/// `filter` for one row, which must be there and of one of its projects.
async fn scoped_filter(
    tx: &mut Tx,
    scope: CostScope,
    id: Uuid,
    mut filter: CostFilter,
) -> Result<CostFilter, StoreError> {
    let project = match scope {
        CostScope::Organization => return Ok(filter),
        CostScope::Project => projects::get(tx, ProjectId::from_uuid(id)).await?.id,
        CostScope::Spec => specs::get(tx, SpecId::from_uuid(id)).await?.project_id,
        CostScope::Task => tasks::get(tx, TaskId::from_uuid(id)).await?.project_id,
        CostScope::Agent => {
            attempts::get(tx, AttemptId::from_uuid(id))
                .await?
                .project_id
        }
    };
    if !filter.projects.is_empty() && !filter.projects.contains(&project) {
        return Err(StoreError::NotFound {
            what: scope.as_str(),
            key: id.to_string(),
        });
    }
    match scope {
        CostScope::Organization => {}
        CostScope::Project => filter.projects = vec![project],
        CostScope::Spec => filter.specs = vec![SpecId::from_uuid(id)],
        CostScope::Task => filter.tasks = vec![TaskId::from_uuid(id)],
        CostScope::Agent => filter.attempts = vec![AttemptId::from_uuid(id)],
    }
    Ok(filter)
}

fn summary_of(scope: CostScope, id: Option<Uuid>, costs: &[ModelCost]) -> CostSummary {
    let all = costs.iter();
    let cost = all.clone().fold(NanoUsd::ZERO, |sum, one| {
        sum.saturating_add(one.cost_nanousd)
    });
    let view = |one: &ModelCost| ModelCostView {
        model: one.model.clone(),
        simulated: one.simulated,
        cost: one.cost_nanousd.into(),
        tokens: one.tokens,
        records: one.n_records,
    };
    CostSummary {
        scope_type: scope,
        scope_id: id,
        total_cost: cost.into(),
        total_tokens: all.clone().map(|one| one.tokens).sum(),
        record_count: all.clone().map(|one| one.n_records).sum(),
        breakdown: all.map(view).collect(),
    }
}
