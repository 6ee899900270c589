//! Model calls under way, as the budgets see them.
//!
//! A row stands from before any upstream hears of the call until the transaction that records its cost.
//! What a process leaves behind is settled by whoever comes after it.

use omoi_domain::attempt::AgentRole;
use omoi_domain::id::{AttemptId, CostId, MonthBudgetId, OrgId, ProjectId, SpecId};
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::PurposeKind;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::deployment::fence_holds;
use crate::error::StoreError;
use crate::month_budgets::{self, hold_sql};
use crate::row::{Row as _, row};
use crate::tx::Tx;

row! {
    /// A model call under way.
    OpenCall in "open_calls" as "open model call" {
        /// The id its cost entry will have.
        id: CostId,
        /// Its organisation.
        org_id: OrgId,
        /// Its repository.
        project_id: ProjectId,
        /// The spec whose budget it takes from.
        spec_id: SpecId,
        /// What it is for.
        purpose: PurposeKind,
        /// The attempt that asks, if one does.
        attempt_id: Option<AttemptId>,
        /// The caller's role.
        role: AgentRole,
        /// The route asked for.
        route: RouteName,
        /// The model asked.
        model: String,
        /// Whether that is the simulated model.
        simulated: bool,
        /// Tokens it will read, by estimate.
        input_tokens: i64,
        /// Most tokens it may answer.
        output_tokens: i64,
        /// What those cost.
        cost_nanousd: NanoUsd,
        /// The process that asks.
        owner: String,
        /// Since when.
        opened_at: Timestamp,
        /// The project's budget of a month that holds its cost.
        project_budget_id: Option<MonthBudgetId>,
        /// The organisation's.
        organisation_budget_id: Option<MonthBudgetId>,
    }
}

/// Gives this transaction the only turn at the budgets of a spec, until it ends: of two processes that
/// check one budget, the second sees what the first took from it.
///
/// # Errors
/// [`StoreError::TakenOver`] when another process acts for the data folder now.
pub async fn lock_budgets(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    let locked = tx
        .locked_rows(
            concat!(
                "select id from specs where org_id = $1 and id = $2 and ",
                fence_holds!("$3")
            ),
            args![spec, tx.fence()],
        )
        .await?;
    match (locked.len(), tx.fence()) {
        (1.., _) => Ok(()),
        (0, 0) => Err(StoreError::NotFound {
            what: "spec",
            key: spec.to_string(),
        }),
        (0, _) => Err(StoreError::TakenOver),
    }
}

/// Counts a call against the budgets. The caller has their [lock](lock_budgets) and knows that there is
/// room.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, call: &OpenCall) -> Result<(), StoreError> {
    tx.insert(call).await
}

/// The same where its project or organisation has budgets of a month: these hold its cost from then on. False where
/// one has no room; the caller then gives up its transaction.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert_held(tx: &mut Tx, call: &OpenCall) -> Result<bool, StoreError> {
    if tx.changes_many_tables() {
        return insert_held_at_once(tx, call).await;
    }
    let mut call = call.clone();
    for budget in month_budgets::of_project(tx, call.project_id).await? {
        if !month_budgets::hold_more(tx, budget.id, call.cost_nanousd).await? {
            return Ok(false);
        }
        match budget.project_id {
            Some(_) => call.project_budget_id = Some(budget.id),
            None => call.organisation_budget_id = Some(budget.id),
        }
    }
    tx.insert(&call).await?;
    Ok(true)
}

/// The same in one statement. The project's budget is locked before the organisation's, which asks whether the
/// project's had room.
async fn insert_held_at_once(tx: &mut Tx, call: &OpenCall) -> Result<bool, StoreError> {
    let (cost, month) = (call.cost_nanousd, tx.now().month_start());
    let mut args = args![tx.org(), cost, month, call.project_id];
    call.bind(&mut args)?;
    let columns = OpenCall::columns();
    let n_own = columns.len() - 2;
    let values: Vec<String> = (5..5 + n_own).map(|mark| format!("${mark}")).collect();
    let (project, organisation) = (5 + n_own, 6 + n_own);
    let sql = format!(
        "with project_held as ({of_project} returning id),
         organisation_held as ({of_organisation} returning id)
         insert into open_calls ({columns})
         select {values}, coalesce((select id from project_held), ${project}),
             coalesce((select id from organisation_held), ${organisation})
         where (select count(*) from project_held) + (select count(*) from organisation_held) = (
             select count(*) from month_budgets
             where org_id = $1 and (project_id is null or project_id = $4))
         returning id",
        of_project = hold_sql!("project_id = $4"),
        of_organisation = hold_sql!(
            "project_id is null and (select count(*) from project_held) = (
                 select count(*) from month_budgets where org_id = $1 and project_id = $4)"
        ),
        columns = columns.join(", "),
        values = values.join(", "),
    );
    Ok(!tx.built_raw(sql, args).await?.is_empty())
}

/// A call that is under way.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not under way any more.
pub async fn get(tx: &mut Tx, id: CostId) -> Result<OpenCall, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Counts `call` against the budgets with `cost`, which is more than before; false where a budget of a month that
/// holds it has no room for that. The caller has the [lock](lock_budgets) of the others and knows that there is room.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not under way any more: nothing would ever let go of what is held for it then.
pub async fn raise_cost(tx: &mut Tx, call: &OpenCall, cost: NanoUsd) -> Result<bool, StoreError> {
    let sql = "update open_calls set cost_nanousd = $3 where org_id = $1 and id = $2";
    if tx.execute(sql, args![call.id, cost]).await? == 0 {
        return Err(StoreError::NotFound {
            what: OpenCall::WHAT,
            key: call.id.to_string(),
        });
    }
    let more = NanoUsd::from_nanos(cost.as_nanos() - call.cost_nanousd.as_nanos());
    let budgets = [call.project_budget_id, call.organisation_budget_id];
    for budget in budgets.into_iter().flatten() {
        if !month_budgets::hold_more(tx, budget, more).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes a call that did cost `cost` off the budgets; false when it was taken off before. Budgets of a month that
/// held it count the cost instead.
///
/// # Errors
/// When the database cannot be written.
pub async fn close(tx: &mut Tx, id: CostId, cost: NanoUsd) -> Result<bool, StoreError> {
    let sql = "delete from open_calls where org_id = $1 and id = $2
        returning spec_id, cost_nanousd, project_budget_id, organisation_budget_id";
    let rows = tx.rows(sql, args![id]).await?;
    let Some(row) = rows.first() else {
        return Ok(false);
    };
    let (spec, held) = (
        Column::read(row, "spec_id")?,
        NanoUsd::read(row, "cost_nanousd")?,
    );
    for column in ["project_budget_id", "organisation_budget_id"] {
        if let Some(budget) = Column::read(row, column)? {
            month_budgets::charge_budget(tx, budget, held, cost, spec).await?;
        }
    }
    Ok(true)
}

/// Every call under way, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn all(tx: &mut Tx) -> Result<Vec<OpenCall>, StoreError> {
    tx.all("1 = 1 order by opened_at, id", args![]).await
}

/// The calls of an attempt that are under way, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_attempt(tx: &mut Tx, attempt: AttemptId) -> Result<Vec<OpenCall>, StoreError> {
    tx.all("attempt_id = $2 order by opened_at, id", args![attempt])
        .await
}
