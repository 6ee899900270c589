//! What went from a budget: what is recorded, and what calls under way may cost.

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::id::SpecId;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::PurposeKind;

use crate::args;
use crate::attempts::at_subject;
use crate::column::{Args, Column};
use crate::error::StoreError;
use crate::tx::Tx;

/// What went from one budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetUse {
    /// Price of the calls that are recorded.
    pub spent: NanoUsd,
    /// What those under way may cost.
    pub open: NanoUsd,
}

/// What went from the budget of a spec, and from that of a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecBudgetUse {
    /// Of all of the spec.
    pub spec: BudgetUse,
    /// Of the part.
    pub part: BudgetUse,
    /// How many budgets of a month its project's calls are paid from.
    pub n_month_budgets: i64,
}

/// All sums in one answer of the database: every model call waits for it. `$part` selects the part's cost
/// entries or open calls `c`.
macro_rules! budget_sums {
    ($($part:expr),+) => {
        concat!(
            "select
                 (select cast(coalesce(sum(c.cost_nanousd), 0) as bigint)
                  from cost_entries c where c.org_id = $1 and c.spec_id = $2) as spec_spent,
                 (select cast(coalesce(sum(c.cost_nanousd), 0) as bigint)
                  from open_calls c where c.org_id = $1 and c.spec_id = $2) as spec_open,
                 (select cast(coalesce(sum(c.cost_nanousd), 0) as bigint)
                  from cost_entries c ", $($part),+, ") as part_spent,
                 (select cast(coalesce(sum(c.cost_nanousd), 0) as bigint)
                  from open_calls c ", $($part),+, ") as part_open,
                 (select count(*) from month_budgets m where m.org_id = $1 and (m.project_id is null
                  or m.project_id = (select s.project_id from specs s where s.org_id = $1 and s.id = $2)))
                  as n_month_budgets"
        )
    };
}

/// What went from the budgets of a spec and of one of its tasks or phases, over all attempts at it.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_subject(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<SpecBudgetUse, StoreError> {
    const SQL: &str = budget_sums!(
        "join attempts a on a.id = c.attempt_id where c.org_id = $1 and ",
        at_subject!("a.")
    );
    read_sums(tx, SQL, args![spec, subject]).await
}

/// What went from the budgets of a spec and of its calls for one purpose.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_purpose(
    tx: &mut Tx,
    spec: SpecId,
    purpose: PurposeKind,
) -> Result<SpecBudgetUse, StoreError> {
    const SQL: &str = budget_sums!("where c.org_id = $1 and c.spec_id = $2 and c.purpose = $3");
    read_sums(tx, SQL, args![spec, purpose]).await
}

async fn read_sums(
    tx: &mut Tx,
    sql: &'static str,
    args: Args,
) -> Result<SpecBudgetUse, StoreError> {
    let rows = tx.rows(sql, args).await?;
    let Some(row) = rows.first() else {
        return Ok(SpecBudgetUse::default());
    };
    let sum = |column| NanoUsd::read(row, column);
    Ok(SpecBudgetUse {
        spec: BudgetUse {
            spent: sum("spec_spent")?,
            open: sum("spec_open")?,
        },
        part: BudgetUse {
            spent: sum("part_spent")?,
            open: sum("part_open")?,
        },
        n_month_budgets: i64::read(row, "n_month_budgets")?,
    })
}
