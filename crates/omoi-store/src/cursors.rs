//! How far each consumer has come in an organisation's log.

use omoi_domain::event::Consumer;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::tx::Tx;

/// The last event `consumer` is done with; 0 at first.
///
/// # Errors
/// When the database cannot be read.
pub async fn get(tx: &mut Tx, consumer: Consumer) -> Result<i64, StoreError> {
    let rows = tx
        .rows(
            "select seq from consumer_cursors where org_id = $1 and consumer = $2",
            args![consumer.as_str()],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| i64::read(row, "seq"))
}

/// Moves the cursor of `consumer` forward to `seq`; it never goes back.
///
/// # Errors
/// When the database cannot be written.
pub async fn advance(tx: &mut Tx, consumer: Consumer, seq: i64) -> Result<(), StoreError> {
    tx.execute(
        "insert into consumer_cursors (org_id, consumer, seq) values ($1, $2, $3)
         on conflict (consumer, org_id) do update set seq = excluded.seq
         where consumer_cursors.seq < excluded.seq",
        args![consumer.as_str(), seq],
    )
    .await?;
    Ok(())
}
