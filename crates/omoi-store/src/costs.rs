//! The cost ledger: what every model call took.

use omoi_domain::event::{CostDone, Event};
use omoi_domain::id::{AttemptId, CostId, OrgId, ProjectId, SpecId};
use omoi_domain::money::NanoUsd;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// One metered model call.
    CostEntry in "cost_entries" as "cost entry" {
        /// Its id.
        id: CostId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// The attempt that asked.
        attempt_id: AttemptId,
        /// `task`, `spec_phase` …
        subject: String,
        /// Row id of what was tried.
        subject_id: String,
        /// The asker's role.
        role: String,
        /// The route.
        route: String,
        /// The model that answered.
        model: String,
        /// Whether the simulated model answered.
        simulated: bool,
        /// Tokens in.
        input_tokens: i64,
        /// Tokens out.
        output_tokens: i64,
        /// Tokens read from a cache.
        cache_read_tokens: i64,
        /// Tokens written to a cache that keeps them for five minutes.
        cache_write_tokens: i64,
        /// Tokens written to a cache that keeps them for an hour.
        cache_write_1h_tokens: i64,
        /// Price in billionths of a dollar.
        cost_nanousd: NanoUsd,
        /// Milliseconds from asking to the last byte.
        latency_ms: i64,
        /// Calls made, retries included.
        calls: i64,
        /// When it ended.
        created_at: Timestamp,
    }
}

/// What a spec, a phase or a task has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spend {
    /// Price in billionths of a dollar.
    pub cost_nanousd: NanoUsd,
    /// Tokens read and written, those of the prompt cache included.
    pub tokens: i64,
    /// Milliseconds models took.
    pub model_ms: i64,
}

impl CostEntry {
    /// Tokens read and written, those of the prompt cache included.
    fn n_tokens(&self) -> i64 {
        let parts = [
            self.input_tokens,
            self.output_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.cache_write_1h_tokens,
        ];
        parts.into_iter().fold(0, i64::saturating_add)
    }
}

/// Stores an entry.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, project: ProjectId, entry: &CostEntry) -> Result<(), StoreError> {
    tx.insert(entry).await?;
    let event = Event::CostRecorded(CostDone {
        attempt_id: entry.attempt_id,
        role: entry.role.clone(),
        model: entry.model.clone(),
        tokens: entry.n_tokens(),
        cost_nanousd: entry.cost_nanousd,
        latency_ms: entry.latency_ms,
    });
    tx.emit(Some(project), Some(entry.spec_id), event);
    Ok(())
}

/// What a spec has used.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Spend, StoreError> {
    let rows = tx
        .rows(
            "select cast(coalesce(sum(cost_nanousd), 0) as bigint) as cost,
                 cast(coalesce(sum(input_tokens + output_tokens + cache_read_tokens
                     + cache_write_tokens + cache_write_1h_tokens), 0) as bigint) as tokens,
                 cast(coalesce(sum(latency_ms), 0) as bigint) as ms
             from cost_entries where org_id = $1 and spec_id = $2",
            args![spec],
        )
        .await?;
    spend(&rows)
}

/// What a task or phase of a spec has used, over all its attempts.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_subject(tx: &mut Tx, subject_id: &str) -> Result<Spend, StoreError> {
    let rows = tx
        .rows(
            "select cast(coalesce(sum(cost_nanousd), 0) as bigint) as cost,
                 cast(coalesce(sum(input_tokens + output_tokens + cache_read_tokens
                     + cache_write_tokens + cache_write_1h_tokens), 0) as bigint) as tokens,
                 cast(coalesce(sum(latency_ms), 0) as bigint) as ms
             from cost_entries where org_id = $1 and subject_id = $2",
            args![subject_id],
        )
        .await?;
    spend(&rows)
}

fn spend(rows: &[sqlx::any::AnyRow]) -> Result<Spend, StoreError> {
    let Some(row) = rows.first() else {
        return Ok(Spend::default());
    };
    Ok(Spend {
        cost_nanousd: NanoUsd::read(row, "cost")?,
        tokens: i64::read(row, "tokens")?,
        model_ms: i64::read(row, "ms")?,
    })
}
