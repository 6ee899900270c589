//! Tells whether calls have room.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use omoi_protocol::api::{BudgetCheck, BudgetScope, MonthBudgetView, UsdText};
use omoi_store::{Tx, month_budgets, projects};

use super::{budget_view, scope_project};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Whose calls.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetCheckQuery {
    /// `organization` or `project`.
    #[param(inline, example = "organization")]
    scope_type: BudgetScope,
    /// The project; none for the organisation.
    scope_id: Option<Uuid>,
}

/// Tells whether a model call has room in the budgets of this month, of the organisation and of the project where one is
/// named.
#[utoipa::path(
    get, path = "/costs/budgets/check", tag = "costs", params(BudgetCheckQuery),
    responses((status = 200, description = "The budgets, and whether each has something left.", body = BudgetCheck))
)]
pub(super) async fn check_budget(
    caller: Allowed<needs::CostRead>,
    State(s): Surface,
    ApiQuery(query): ApiQuery<BudgetCheckQuery>,
) -> Answer<BudgetCheck> {
    let project = scope_project(query.scope_type, query.scope_id)?;
    let read = async |tx: &mut Tx| {
        if let Some(project) = project {
            projects::get(tx, project).await?;
        }
        let mut all = month_budgets::list_all(tx).await?;
        all.retain(|budget| budget.project_id.is_none() || budget.project_id == project);
        Ok::<_, ApiError>(all)
    };
    let now = s.parts.clock.now();
    let all = caller.own_rows().read(read).await?;
    let budgets: Vec<_> = all.iter().map(|budget| budget_view(budget, now)).collect();
    let has_room =
        |budget: &MonthBudgetView| !budget.is_hard_limit || budget.remaining > UsdText::default();
    Ok(Json(BudgetCheck {
        allowed: budgets.iter().all(has_room),
        budgets,
    }))
}
