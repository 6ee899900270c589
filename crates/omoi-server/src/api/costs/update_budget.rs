//! Changes a budget.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use omoi_domain::access::permission::Permission;
use omoi_planning::commands::{MonthBudgetChange, change_month_budget};
use omoi_protocol::api::{MonthBudgetView, UpdateMonthBudget};

use super::{
    BudgetPath, budget_limit, budget_view, expect_versions, refuse_change, wake_after_change,
};
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, VersionedJson};
use crate::error::ApiError;

/// Changes a budget; work goes on that waited for it, where there is room now. It takes `cost:read`, too: the answer
/// tells what is spent.
#[utoipa::path(
    patch, path = "/costs/budgets/{budget_id}", tag = "costs", request_body = UpdateMonthBudget,
    params(BudgetPath, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The budget as it is then.", body = MonthBudgetView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn update_budget(
    caller: Allowed<needs::CostWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<BudgetPath>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<UpdateMonthBudget>,
) -> Result<Response, ApiError> {
    // The answer, also that of a refusal, tells what is spent.
    caller.expect_also(Permission::CostRead)?;
    let versions = expect_versions(meant)?;
    let change = MonthBudgetChange {
        limit: body.limit.map(budget_limit).transpose()?,
        is_hard: body.is_hard_limit,
    };
    let now = s.parts.clock.now();
    let tenant = caller.own_rows();
    let changed = change_month_budget(tenant, path.budget_id, change, versions.as_deref()).await;
    let budget = match changed {
        Ok(budget) => budget,
        Err(refused) => return refuse_change(refused, now),
    };
    wake_after_change(&caller).await?;
    let answer = VersionedJson {
        version: budget.state_version,
        body: budget_view(&budget, now),
    };
    Ok(answer.into_response())
}
