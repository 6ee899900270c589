//! What work may cost.

mod check_budget;
mod create_budget;
mod delete_budget;
mod forecast_costs;
mod get_cost_summary;
mod list_budgets;
mod list_cost_records;
mod update_budget;

use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{MonthBudgetId, ProjectId};
use omoi_domain::money::NanoUsd;
use omoi_domain::month_budget::{BudgetLevel, LIMIT_MAX};
use omoi_domain::time::Timestamp;
use omoi_planning::commands::{BudgetCommandError, WakeReason, wake_spent_work};
use omoi_protocol::api::{BudgetScope, EXAMPLE_BUDGET, MonthBudgetView, UsdText};
use omoi_store::month_budgets::MonthBudget;
use uuid::Uuid;

use super::ApiSurface;
use super::caller::ApiCaller;
use super::router::{ApiRouter, operation};
use super::version::{MeantVersions, with_version};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            list_cost_records::list_cost_records,
            InvalidCursor
        ))
        .add(operation!(get_cost_summary::get_cost_summary, NotFound))
        .add(operation!(forecast_costs::forecast_costs))
        .add(operation!(list_budgets::list_budgets))
        .add(operation!(create_budget::create_budget, Conflict))
        .add(operation!(check_budget::check_budget))
        .add(operation!(
            update_budget::update_budget,
            PreconditionRequired,
            StaleVersion
        ))
        .add(operation!(
            delete_budget::delete_budget,
            PreconditionRequired,
            StaleVersion
        ))
}

/// Which budget.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct BudgetPath {
    /// Row id of the budget.
    #[param(example = json!(EXAMPLE_BUDGET))]
    budget_id: MonthBudgetId,
}

/// The budget as it stands at `now`.
fn budget_view(budget: &MonthBudget, now: Timestamp) -> MonthBudgetView {
    let month = budget.month_start.max(now.month_start());
    let (limit, held) = (budget.limit_nanousd, budget.held_nanousd);
    let spent = budget.spent_in(month);
    let left = limit.as_nanos() - spent.as_nanos() - held.as_nanos();
    MonthBudgetView {
        id: budget.id,
        scope_type: match budget.project_id {
            Some(_) => BudgetScope::Project,
            None => BudgetScope::Organization,
        },
        scope_id: budget.project_id.map(ProjectId::as_uuid),
        limit: limit.into(),
        spent: spent.into(),
        held: held.into(),
        remaining: NanoUsd::from_nanos(left.max(0)).into(),
        level: BudgetLevel::of_spent(spent, limit),
        period_start: month.into(),
        period_end: month.next_month_start().into(),
        is_hard_limit: budget.is_hard,
    }
}

/// The project that a scope names; none of the organisation.
fn scope_project(scope: BudgetScope, id: Option<Uuid>) -> Result<Option<ProjectId>, ApiError> {
    match (scope, id) {
        (BudgetScope::Project, Some(id)) => Ok(Some(ProjectId::from_uuid(id))),
        (BudgetScope::Organization, None) => Ok(None),
        (BudgetScope::Project, None) => Err(ApiError::invalid_value(
            "`scope_id` is the id of the project",
        )
        .with_field("scope_id")),
        (BudgetScope::Organization, Some(_)) => {
            let says = "an organisation has no `scope_id`: it is the one of the request";
            Err(ApiError::invalid_value(says).with_field("scope_id"))
        }
    }
}

/// An amount that a month's budget may be.
fn budget_limit(limit: UsdText) -> Result<NanoUsd, ApiError> {
    let nanos = limit.to_nanos();
    if (NanoUsd::ZERO..=LIMIT_MAX).contains(&nanos) {
        return Ok(nanos);
    }
    let says = format!("a budget is 0 to {LIMIT_MAX:.0}");
    Err(ApiError::invalid_value(says).with_field("/limit"))
}

/// The versions that a change is meant for; none where every one is.
fn expect_versions(meant: MeantVersions) -> Result<Option<Vec<i64>>, ApiError> {
    if meant.is_named() {
        return Ok(meant.0);
    }
    let says = "the change does not say which version of the budget it is meant for";
    Err(ApiError::new(ErrorCode::PreconditionRequired, says)
        .with_field("If-Match")
        .hint("read the budget, and send its `ETag`"))
}

/// What follows from a change of a budget: work goes on that waited for it.
async fn wake_after_change(caller: &ApiCaller) -> Result<(), ApiError> {
    wake_spent_work(caller.own_rows(), WakeReason::BudgetChanged).await?;
    Ok(())
}

/// The refusal of a change, with the budget as it is now where that is another one than was meant.
fn refuse_change(refused: BudgetCommandError, now: Timestamp) -> Result<Response, ApiError> {
    match refused {
        BudgetCommandError::StaleVersion(current) => {
            let says = format!("the budget is version {} by now", current.state_version);
            let refusal = ApiError::new(ErrorCode::StaleVersion, says)
                .with_context("current", json!(budget_view(&current, now)))
                .with_field("If-Match")
                .hint("look at what `context.current` has, and send the change with its `ETag`");
            Ok(with_version(refusal.into_response(), current.state_version))
        }
        BudgetCommandError::Exists(there) => {
            let says = format!(
                "there is a budget already, of {} a month",
                there.limit_nanousd
            );
            Err(ApiError::new(ErrorCode::Conflict, says)
                .with_context("current", json!(budget_view(&there, now)))
                .hint("change that one: `PATCH /api/v1/costs/budgets/{budget_id}`"))
        }
        BudgetCommandError::Store(error) => Err(error.into()),
    }
}
