//! Budgets of a month.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use omoi_domain::id::MonthBudgetId;
use omoi_domain::month_budget::BudgetLevel;

use super::example::EXAMPLE_PROJECT;
use super::money::UsdText;
use super::spec::given_value;
use super::time::ApiTime;

omoi_domain::closed_set! {
    /// Whose calls a budget holds.
    BudgetScope {
        /// All of the organisation.
        Organization = "organization",
        /// Those of one project.
        Project = "project",
    }
}

/// A budget. `GET /costs/budgets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MonthBudgetView {
    /// Row id of the budget.
    pub id: MonthBudgetId,
    /// Whose calls it holds.
    pub scope_type: BudgetScope,
    /// The project; none of an organisation.
    pub scope_id: Option<Uuid>,
    /// The most that may be spent in a month.
    pub limit: UsdText,
    /// What is recorded in this month. Calls of the simulated model are not counted.
    pub spent: UsdText,
    /// What calls under way may cost.
    pub held: UsdText,
    /// What is left of it.
    pub remaining: UsdText,
    /// How much of it is spent.
    pub level: BudgetLevel,
    /// Beginning of the month, in UTC.
    pub period_start: ApiTime,
    /// Beginning of the next month.
    pub period_end: ApiTime,
    /// Whether calls without room are refused; else people are only told.
    pub is_hard_limit: bool,
}

/// A new budget. `POST /costs/budgets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "scope_type": "project", "scope_id": EXAMPLE_PROJECT, "limit": "50.00" }))]
pub struct CreateMonthBudget {
    /// Whose calls it holds.
    pub scope_type: BudgetScope,
    /// The project; none for the organisation.
    pub scope_id: Option<Uuid>,
    /// The most that may be spent in a month, in dollars.
    #[schema(value_type = String)]
    pub limit: UsdText,
    /// Whether calls without room are refused, as they are where nothing is said; else people are only told.
    pub is_hard_limit: Option<bool>,
}

/// What becomes of a budget; what is absent stays. `PATCH /costs/budgets/{budget_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "limit": "80.00" }))]
pub struct UpdateMonthBudget {
    /// The most that may be spent in a month, in dollars.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub limit: Option<UsdText>,
    /// Whether calls without room are refused.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = bool)]
    pub is_hard_limit: Option<bool>,
}

/// Whether calls have room. `GET /costs/budgets/check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetCheck {
    /// Whether no budget of the scope refuses calls by now: each that does has something left.
    pub allowed: bool,
    /// The budgets that hold calls of the scope.
    pub budgets: Vec<MonthBudgetView>,
}
