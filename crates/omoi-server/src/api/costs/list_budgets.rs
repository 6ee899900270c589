//! Lists budgets.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::{ListPage, MonthBudgetView};
use omoi_store::month_budgets;

use super::budget_view;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Lists the budgets of a month: the organisation's own first, then those of projects.
#[utoipa::path(
    get, path = "/costs/budgets", tag = "costs",
    responses((status = 200, description = "All of them.", body = ListPage<MonthBudgetView>))
)]
pub(super) async fn list_budgets(
    caller: Allowed<needs::CostRead>,
    State(s): Surface,
) -> Answer<ListPage<MonthBudgetView>> {
    let all = caller
        .own_rows()
        .read(async |tx| month_budgets::list_all(tx).await);
    let now = s.parts.clock.now();
    let all = all.await?;
    let views = all.iter().map(|budget| budget_view(budget, now));
    Ok(Json(ListPage::whole_list(views.collect())))
}
