//! The outbox: the organisation's log of events, gap-free and in commit order.

use omoi_domain::event::{EventKind, NewEvent, StoredEvent};
use omoi_domain::id::SpecId;

use crate::args;
use crate::column::{Column, Json};
use crate::dialect::DatabaseRow;
use crate::error::StoreError;
use crate::tx::Tx;

/// Most events read at once.
pub const BATCH_MAX: i64 = 500;

pub(crate) async fn append(tx: &mut Tx, batch: Vec<NewEvent>) -> Result<(), StoreError> {
    let count = batch.len() as i64;
    let rows = tx
        .rows(
            "update organisations set event_seq = event_seq + $2
             where id = $1 and ($3 = 0 or owner_fence = $3) returning event_seq",
            args![count, tx.fence()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Err(match tx.fence() {
            0 => StoreError::NotFound {
                what: "organisation",
                key: tx.org().to_string(),
            },
            _ => StoreError::TakenOver,
        });
    };
    let first = i64::read(row, "event_seq")? - count + 1;
    for (seq, event) in (first..).zip(batch) {
        tx.execute(
            "insert into events (org_id, seq, event_id, project_id, spec_id, event_type, actor,
                                 body, occurred_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args![
                seq,
                event.id,
                event.project,
                event.spec,
                event.event.kind().as_str(),
                event.actor,
                Json(event.event),
                event.at
            ],
        )
        .await?;
    }
    Ok(())
}

/// Events after `seq`, oldest first, at most [`BATCH_MAX`].
///
/// # Errors
/// When the database cannot be read or an event does not parse.
pub async fn after(tx: &mut Tx, seq: i64) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = tx
        .rows(
            "select seq, event_id, spec_id, actor, body, occurred_at from events
             where org_id = $1 and seq > $2 order by seq limit $3",
            args![seq, BATCH_MAX],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Every event of `spec` after `seq`, oldest first, at most [`BATCH_MAX`].
///
/// # Errors
/// When the database cannot be read or an event does not parse.
pub async fn of_spec(tx: &mut Tx, spec: SpecId, seq: i64) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = tx
        .rows(
            "select seq, event_id, spec_id, actor, body, occurred_at from events
             where org_id = $1 and spec_id = $2 and seq > $3 order by seq limit $4",
            args![spec, seq, BATCH_MAX],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// The newest events of `kind` of `spec`, at most [`BATCH_MAX`], oldest first.
///
/// # Errors
/// When the database cannot be read or an event does not parse.
pub async fn of_kind(
    tx: &mut Tx,
    spec: SpecId,
    kind: EventKind,
) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = tx
        .rows(
            "select seq, event_id, spec_id, actor, body, occurred_at from events
             where org_id = $1 and spec_id = $2 and event_type = $3 order by seq desc limit $4",
            args![spec, kind.as_str(), BATCH_MAX],
        )
        .await?;
    rows.iter().rev().map(read).collect()
}

/// The newest event's number; 0 when there is none.
///
/// # Errors
/// When the database cannot be read.
pub async fn head(tx: &mut Tx) -> Result<i64, StoreError> {
    let rows = tx
        .rows("select event_seq from organisations where id = $1", args![])
        .await?;
    rows.first()
        .map_or(Ok(0), |row| i64::read(row, "event_seq"))
}

fn read(row: &DatabaseRow) -> Result<StoredEvent, StoreError> {
    let Json(event) = Json::read(row, "body")?;
    Ok(StoredEvent {
        seq: i64::read(row, "seq")?,
        event_id: Column::read(row, "event_id")?,
        spec_id: Column::read(row, "spec_id")?,
        actor: Column::read(row, "actor")?,
        occurred_at: Column::read(row, "occurred_at")?,
        event,
    })
}
