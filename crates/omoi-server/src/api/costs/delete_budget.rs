//! Removes a budget.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use omoi_planning::commands::remove_month_budget;

use super::{BudgetPath, expect_versions, refuse_change, wake_after_change};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Removes a budget: from then on calls are held by what is left of budgets.
#[utoipa::path(
    delete, path = "/costs/budgets/{budget_id}", tag = "costs",
    params(BudgetPath, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((status = 204, description = "It is removed."))
)]
pub(super) async fn delete_budget(
    caller: Allowed<needs::CostWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<BudgetPath>,
    meant: MeantVersions,
) -> Result<Response, ApiError> {
    let versions = expect_versions(meant)?;
    let removed = remove_month_budget(caller.own_rows(), path.budget_id, versions.as_deref()).await;
    if let Err(refused) = removed {
        return refuse_change(refused, s.parts.clock.now());
    }
    wake_after_change(&caller).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
