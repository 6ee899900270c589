//! Questions of attempts that went on to the next model of their list.

use omoi_domain::id::{AttemptId, OrgId};
use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_route::RouteName;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// How often an attempt's questions went from one model to another for one reason.
    FallbackCount in "model_fallbacks" as "model fallback" {
        /// The attempt.
        attempt_id: AttemptId,
        /// Its organisation.
        org_id: OrgId,
        /// What was asked for.
        route: RouteName,
        /// The model that was passed over.
        from_model: String,
        /// The one that was asked in its place.
        to_model: String,
        /// Why.
        class: FallbackClass,
        /// The same in words, as it was first said.
        message: String,
        /// How often.
        n: i64,
        /// When it first was.
        first_at: Timestamp,
    }
}

/// Counts `fallback` once more; gives how often it was by now.
///
/// # Errors
/// When the database cannot be written.
pub async fn count(tx: &mut Tx, fallback: &FallbackCount) -> Result<i64, StoreError> {
    let FallbackCount {
        attempt_id,
        route,
        from_model,
        to_model,
        class,
        message,
        n,
        first_at,
        ..
    } = fallback;
    let rows = tx
        .rows(
            "insert into model_fallbacks
                 (org_id, attempt_id, route, from_model, to_model, class, message, n, first_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (attempt_id, route, from_model, to_model, class)
             do update set n = model_fallbacks.n + excluded.n
             returning n as value",
            args![
                *attempt_id,
                *route,
                from_model.clone(),
                to_model.clone(),
                *class,
                message.clone(),
                *n,
                *first_at
            ],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| i64::read(row, "value"))
}

/// The fallbacks of an attempt, in the order in which they first were.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_attempt(tx: &mut Tx, attempt: AttemptId) -> Result<Vec<FallbackCount>, StoreError> {
    tx.all(
        "attempt_id = $2 order by first_at, route, from_model, to_model, class",
        args![attempt],
    )
    .await
}
