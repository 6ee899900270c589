//! Model calls under way, as the budgets see them.
//!
//! A row stands from before any upstream hears of the call until the transaction that records its cost.
//! What a process leaves behind is settled by whoever comes after it.

use omoi_domain::attempt::AgentRole;
use omoi_domain::id::{AttemptId, CostId, OrgId, ProjectId, SpecId};
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::PurposeKind;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::deployment::fence_holds;
use crate::error::StoreError;
use crate::row::row;
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

/// What a call that is under way may cost.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not under way any more.
pub async fn reserved_cost(tx: &mut Tx, id: CostId) -> Result<NanoUsd, StoreError> {
    let call: OpenCall = tx.get(id, "id = $2", args![id]).await?;
    Ok(call.cost_nanousd)
}

/// Counts a call against the budgets with `cost`. The caller has their [lock](lock_budgets) and knows that
/// there is room.
///
/// # Errors
/// When the database cannot be written.
pub async fn raise_cost(tx: &mut Tx, id: CostId, cost: NanoUsd) -> Result<(), StoreError> {
    let sql = "update open_calls set cost_nanousd = $3 where org_id = $1 and id = $2";
    tx.execute(sql, args![id, cost]).await?;
    Ok(())
}

/// Takes a call off the budgets; false when it was taken off before.
///
/// # Errors
/// When the database cannot be written.
pub async fn close(tx: &mut Tx, id: CostId) -> Result<bool, StoreError> {
    let closed = tx
        .execute(
            "delete from open_calls where org_id = $1 and id = $2",
            args![id],
        )
        .await?;
    Ok(closed > 0)
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
