//! What organisations and projects may spend on models in a calendar month.
//!
//! A row counts what is recorded in its month and what calls under way hold; a call names the rows that hold it, so
//! that exactly these let it go, whatever budgets came since. The project's row is always written before the
//! organisation's. Calls of the simulated model cost nobody anything and are not counted.

use omoi_domain::block::TaskBlockKind;
use omoi_domain::event::{BudgetLevelReached, EventKind};
use omoi_domain::id::{MonthBudgetId, OrgId, ProjectId, SpecId};
use omoi_domain::money::NanoUsd;
use omoi_domain::month_budget::BudgetLevel;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::row::{Row as _, row, versioned};
use crate::tx::Tx;

row! {
    /// The budget of an organisation or of a project.
    MonthBudget in "month_budgets" as "month budget" {
        /// Its row.
        id: MonthBudgetId,
        /// Its organisation.
        org_id: OrgId,
        /// The project it is of; none of the organisation's own.
        project_id: Option<ProjectId>,
        /// The most that may be spent in a month.
        limit_nanousd: NanoUsd,
        /// The month that is counted, by its first instant.
        month_start: Timestamp,
        /// What is recorded in it.
        spent_nanousd: NanoUsd,
        /// What calls under way may cost.
        held_nanousd: NanoUsd,
        /// The highest level that was told of in it.
        level_reached: BudgetLevel,
        /// Whether calls without room are refused; else people are only told.
        is_hard: bool,
        /// Grows with each write of a person.
        state_version: i64,
    }
}

impl MonthBudget {
    /// What is spent in the month that begins at `month`.
    pub fn spent_in(&self, month: Timestamp) -> NanoUsd {
        match self.month_start < month {
            true => NanoUsd::ZERO,
            false => self.spent_nanousd,
        }
    }
}

versioned! { MonthBudget by id in "month_budgets" { limit_nanousd, is_hard } }

/// `spent_nanousd` in the month that begins at `$month`.
macro_rules! spent_in_month {
    ($month:literal) => {
        concat!(
            "case when month_start < ",
            $month,
            " then 0 else spent_nanousd end"
        )
    };
}

/// Holds `$2` more in the month `$3`, where there is room.
macro_rules! hold_sql {
    ($whose:expr) => {
        concat!(
            "update month_budgets set held_nanousd = held_nanousd + $2, spent_nanousd = ",
            $crate::month_budgets::spent_in_month!("$3"),
            ", level_reached = case when month_start < $3 then 'normal' else level_reached end,
             month_start = case when month_start < $3 then $3 else month_start end
             where org_id = $1 and ",
            $whose,
            " and (not is_hard or ",
            $crate::month_budgets::spent_in_month!("$3"),
            " + held_nanousd + $2 <= limit_nanousd)"
        )
    };
}

pub(crate) use {hold_sql, spent_in_month};

/// Holds `more` of `budget`; false where it has no room.
pub(crate) async fn hold_more(
    tx: &mut Tx,
    budget: MonthBudgetId,
    more: NanoUsd,
) -> Result<bool, StoreError> {
    let month = tx.now().month_start();
    let held = tx
        .execute(hold_sql!("id = $4"), args![more, month, budget])
        .await?;
    Ok(held > 0)
}

/// The budgets that calls for `spec`'s project are paid from, the project's own first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_project(tx: &mut Tx, project: ProjectId) -> Result<Vec<MonthBudget>, StoreError> {
    let tail = "(project_id is null or project_id = $2) order by project_id is null";
    tx.all(tail, args![project]).await
}

/// Every budget: the organisation's own first, then those of projects, as they were made.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_all(tx: &mut Tx) -> Result<Vec<MonthBudget>, StoreError> {
    tx.all("1 = 1 order by project_id is not null, id", args![])
        .await
}

/// A budget by its id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: MonthBudgetId) -> Result<MonthBudget, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// What was spent since `month` on calls that are counted, in a project or in all.
///
/// # Errors
/// When the database cannot be read.
pub async fn spent_since(
    tx: &mut Tx,
    project: Option<ProjectId>,
    month: Timestamp,
) -> Result<NanoUsd, StoreError> {
    let rows = tx
        .rows(
            "select cast(coalesce(sum(c.cost_nanousd), 0) as bigint) as spent
             from cost_entries c join specs s on s.id = c.spec_id
             where c.org_id = $1 and not c.simulated and c.created_at >= $2
                 and s.project_id = coalesce($3, s.project_id)",
            args![month, project],
        )
        .await?;
    rows.first()
        .map_or(Ok(NanoUsd::ZERO), |row| NanoUsd::read(row, "spent"))
}

/// Removes `budget`; calls under way are held by it no more.
///
/// # Errors
/// [`StoreError::Conflict`] when it was changed since it was read.
pub async fn delete(tx: &mut Tx, budget: &MonthBudget) -> Result<(), StoreError> {
    // The budget first, as calls do that take from it.
    let sql = "update month_budgets set state_version = state_version + 1
        where org_id = $1 and id = $2 and state_version = $3";
    if tx
        .execute(sql, args![budget.id, budget.state_version])
        .await?
        == 0
    {
        return Err(StoreError::Conflict {
            what: MonthBudget::WHAT,
            key: budget.id.to_string(),
        });
    }
    for sql in [
        "update open_calls set project_budget_id = null where org_id = $1 and project_budget_id = $2",
        "update open_calls set organisation_budget_id = null
         where org_id = $1 and organisation_budget_id = $2",
        "delete from month_budgets where org_id = $1 and id = $2",
    ] {
        tx.execute(sql, args![budget.id]).await?;
    }
    Ok(())
}

/// The specs, with their projects, in which something waits for a budget.
///
/// # Errors
/// When the database cannot be read.
pub async fn stopped_specs(tx: &mut Tx) -> Result<Vec<(SpecId, ProjectId)>, StoreError> {
    let rows = tx
        .rows(
            "select s.id, s.project_id from specs s
             where s.org_id = $1 and s.status in ('working', 'blocked') and (s.blocked_by = $2 or exists (
                 select 1 from tasks t where t.spec_id = s.id and t.blocked_by = $2))
             order by s.id",
            args![TaskBlockKind::Budget],
        )
        .await?;
    let read = |row| Ok((Column::read(row, "id")?, Column::read(row, "project_id")?));
    rows.iter().map(read).collect()
}

/// Writes down a budget.
///
/// # Errors
/// [`StoreError::Conflict`] where the organisation or the project has one.
pub async fn insert(tx: &mut Tx, budget: &MonthBudget) -> Result<(), StoreError> {
    tx.insert(budget).await
}

/// Changes the limit of `budget`, or whether it refuses calls. A level that is no longer reached with the new limit is
/// told again once it is.
///
/// # Errors
/// [`StoreError::Conflict`] when it was changed since it was read.
pub async fn save(tx: &mut Tx, budget: &mut MonthBudget) -> Result<(), StoreError> {
    tx.update(budget).await?;
    // Calls count without a version: what they counted is read once the row is locked.
    let id = budget.id;
    *budget = tx.get(id, "id = $2", args![id]).await?;
    let level = BudgetLevel::of_spent(budget.spent_nanousd, budget.limit_nanousd);
    if level < budget.level_reached {
        budget.level_reached = level;
        set_level(tx, id, level).await?;
    }
    Ok(())
}

async fn set_level(
    tx: &mut Tx,
    budget: MonthBudgetId,
    level: BudgetLevel,
) -> Result<(), StoreError> {
    let sql = "update month_budgets set level_reached = $3 where org_id = $1 and id = $2";
    tx.execute(sql, args![budget, level]).await?;
    Ok(())
}

/// Puts `cost` in the place of `held` in `budget`, and tells of a level that is reached by that.
pub(crate) async fn charge_budget(
    tx: &mut Tx,
    budget: MonthBudgetId,
    held: NanoUsd,
    cost: NanoUsd,
    spec: SpecId,
) -> Result<(), StoreError> {
    let month = tx.now().month_start();
    let rows = tx
        .rows(
            concat!(
                "update month_budgets set held_nanousd = held_nanousd - $3, spent_nanousd = ",
                spent_in_month!("$5"),
                " + $4, level_reached = case when month_start < $5 then 'normal' else level_reached end,
                 month_start = case when month_start < $5 then $5 else month_start end
                 where org_id = $1 and id = $2
                 returning project_id, limit_nanousd, spent_nanousd, level_reached, month_start"
            ),
            args![budget, held, cost, month],
        )
        .await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt {
        column: "month_budget_id",
        value: budget.to_string(),
        expected: MonthBudget::WHAT,
    })?;
    let told = BudgetLevelReached {
        month_budget_id: budget,
        project_id: Column::read(row, "project_id")?,
        month_start: Column::read(row, "month_start")?,
        limit_nanousd: NanoUsd::read(row, "limit_nanousd")?,
        spent_nanousd: NanoUsd::read(row, "spent_nanousd")?,
    };
    let level = BudgetLevel::of_spent(told.spent_nanousd, told.limit_nanousd);
    let Some(level) = level.newly_reached(Column::read(row, "level_reached")?) else {
        return Ok(());
    };
    set_level(tx, budget, level).await?;
    let kind = if level >= BudgetLevel::Exceeded {
        EventKind::BudgetExceeded
    } else if level >= BudgetLevel::Critical {
        EventKind::BudgetCritical
    } else {
        EventKind::BudgetWarning
    };
    tx.emit_kind((told.project_id, Some(spec)), kind, &told)
}
