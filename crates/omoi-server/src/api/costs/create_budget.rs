//! Makes a budget.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use omoi_domain::access::permission::Permission;
use omoi_planning::commands::{NewMonthBudget, create_month_budget};
use omoi_protocol::api::{CreateMonthBudget, MonthBudgetView};

use super::{budget_limit, budget_view, refuse_change, scope_project, wake_after_change};
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::VersionedJson;
use crate::error::ApiError;

/// Gives the organisation or a project a budget for each month, which counts what was recorded in this one already. It
/// takes `cost:read`, too: the answer tells what is spent.
#[utoipa::path(
    post, path = "/costs/budgets", tag = "costs", request_body = CreateMonthBudget,
    responses((
        status = 201, description = "The budget.", body = MonthBudgetView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn create_budget(
    caller: Allowed<needs::CostWrite>,
    State(s): Surface,
    ApiBody(body): ApiBody<CreateMonthBudget>,
) -> Result<Response, ApiError> {
    // The answer, also that of a refusal, tells what is spent.
    caller.expect_also(Permission::CostRead)?;
    let new = NewMonthBudget {
        project: scope_project(body.scope_type, body.scope_id)?,
        limit: budget_limit(body.limit)?,
        is_hard: body.is_hard_limit.unwrap_or(true),
    };
    let now = s.parts.clock.now();
    let budget = match create_month_budget(caller.own_rows(), new).await {
        Ok(budget) => budget,
        Err(refused) => return refuse_change(refused, now),
    };
    wake_after_change(&caller).await?;
    let answer = VersionedJson {
        version: budget.state_version,
        body: budget_view(&budget, now),
    };
    Ok((StatusCode::CREATED, answer).into_response())
}
