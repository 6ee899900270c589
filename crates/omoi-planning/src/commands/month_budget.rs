//! Makes, changes and removes budgets of a month.

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{BudgetChange, Event};
use omoi_domain::id::{MonthBudgetId, ProjectId};
use omoi_domain::money::NanoUsd;
use omoi_domain::month_budget::BudgetLevel;
use omoi_store::month_budgets::{self, MonthBudget};
use omoi_store::{StoreError, Tenant, Tx, projects};
use serde_json::{Value, json};

/// A budget is not changed.
#[derive(Debug, thiserror::Error)]
pub enum BudgetCommandError {
    /// The organisation or the project has one already.
    #[error("there is a budget already, of {} a month", .0.limit_nanousd)]
    Exists(Box<MonthBudget>),
    /// It is another one than the change is meant for.
    #[error("the budget was changed since: it is version {} now", .0.state_version)]
    StaleVersion(Box<MonthBudget>),
    /// The rows cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be spent at most.
#[derive(Clone, Copy, Debug)]
pub struct NewMonthBudget {
    /// The project whose budget it is; none of the organisation's.
    pub project: Option<ProjectId>,
    /// The most that may be spent in a month.
    pub limit: NanoUsd,
    /// Whether calls without room are refused; else people are only told.
    pub is_hard: bool,
}

/// What becomes of a budget. What is absent stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonthBudgetChange {
    /// The most that may be spent in a month.
    pub limit: Option<NanoUsd>,
    /// Whether calls without room are refused.
    pub is_hard: Option<bool>,
}

/// Makes a budget, which counts what was recorded in this month already. Calls under way are counted by none.
///
/// # Errors
/// [`BudgetCommandError::Exists`]; [`StoreError::NotFound`] of the project.
pub async fn create_month_budget(
    tenant: &Tenant,
    new: NewMonthBudget,
) -> Result<MonthBudget, BudgetCommandError> {
    let create = async |tx: &mut Tx| {
        if let Some(project) = new.project {
            projects::get(tx, project).await?;
        }
        let all = month_budgets::list_all(tx).await?;
        if let Some(there) = all.into_iter().find(|one| one.project_id == new.project) {
            return Err(BudgetCommandError::Exists(Box::new(there)));
        }
        let month_start = tx.now().month_start();
        let spent = month_budgets::spent_since(tx, new.project, month_start).await?;
        let budget = MonthBudget {
            id: tx.new_id(),
            org_id: tx.org(),
            project_id: new.project,
            limit_nanousd: new.limit,
            month_start,
            spent_nanousd: spent,
            held_nanousd: NanoUsd::ZERO,
            level_reached: BudgetLevel::of_spent(spent, new.limit),
            is_hard: new.is_hard,
            state_version: 1,
        };
        month_budgets::insert(tx, &budget).await?;
        let created = AuditAct::done_to(AuditAction::BudgetCreated, budget.id);
        tx.record_act(created.with_after(budget_facts(&budget)));
        tell_change(tx, &budget, Some(budget.limit_nanousd));
        Ok(budget)
    };
    tenant.write(CrashPoint::BudgetChanged, create).await
}

/// Changes a budget that has one of `versions`, or any where none are named.
///
/// # Errors
/// [`BudgetCommandError::StaleVersion`]; [`StoreError::NotFound`].
pub async fn change_month_budget(
    tenant: &Tenant,
    id: MonthBudgetId,
    change: MonthBudgetChange,
    versions: Option<&[i64]>,
) -> Result<MonthBudget, BudgetCommandError> {
    let change = async |tx: &mut Tx| {
        let mut budget = meant_budget(tx, id, versions).await?;
        let updated = AuditAct::done_to(AuditAction::BudgetUpdated, budget.id);
        let updated = updated.with_before(budget_facts(&budget));
        budget.limit_nanousd = change.limit.unwrap_or(budget.limit_nanousd);
        budget.is_hard = change.is_hard.unwrap_or(budget.is_hard);
        month_budgets::save(tx, &mut budget).await?;
        tx.record_act(updated.with_after(budget_facts(&budget)));
        tell_change(tx, &budget, Some(budget.limit_nanousd));
        Ok(budget)
    };
    tenant.write(CrashPoint::BudgetChanged, change).await
}

/// Removes a budget that has one of `versions`, or any where none are named.
///
/// # Errors
/// As those of [`change_month_budget`].
pub async fn remove_month_budget(
    tenant: &Tenant,
    id: MonthBudgetId,
    versions: Option<&[i64]>,
) -> Result<(), BudgetCommandError> {
    let remove = async |tx: &mut Tx| {
        let budget = meant_budget(tx, id, versions).await?;
        month_budgets::delete(tx, &budget).await?;
        let deleted = AuditAct::done_to(AuditAction::BudgetDeleted, budget.id);
        tx.record_act(deleted.with_before(budget_facts(&budget)));
        tell_change(tx, &budget, None);
        Ok(())
    };
    tenant.write(CrashPoint::BudgetChanged, remove).await
}

async fn meant_budget(
    tx: &mut Tx,
    id: MonthBudgetId,
    versions: Option<&[i64]>,
) -> Result<MonthBudget, BudgetCommandError> {
    let budget = month_budgets::get(tx, id).await?;
    match versions.is_none_or(|meant| meant.contains(&budget.state_version)) {
        true => Ok(budget),
        false => Err(BudgetCommandError::StaleVersion(Box::new(budget))),
    }
}

/// What the audit log tells of a budget before and after a change.
fn budget_facts(budget: &MonthBudget) -> Value {
    json!({
        "project_id": budget.project_id,
        "limit_nanousd": budget.limit_nanousd,
        "is_hard": budget.is_hard,
    })
}

fn tell_change(tx: &mut Tx, budget: &MonthBudget, limit_nanousd: Option<NanoUsd>) {
    let change = BudgetChange {
        month_budget_id: budget.id,
        project_id: budget.project_id,
        limit_nanousd,
        is_hard: budget.is_hard,
    };
    tx.emit(budget.project_id, None, Event::BudgetChanged(change));
}
