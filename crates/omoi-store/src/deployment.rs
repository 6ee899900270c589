//! The one data folder whose git repositories belong to this database, and who acts for it.
//!
//! Rows name commits, and commits lie in the mirrors of one folder. The lock of that folder lets in
//! one orchestrator at a time; each one that comes raises the fence, so that a commit of an earlier
//! one that still breathes is refused.

use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::{Column, Json};
use crate::error::StoreError;
use crate::tx::Tx;

/// A data folder, as its database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFolder {
    /// What the folder calls itself, wherever it lies.
    pub id: String,
    /// `host:/path`, for people.
    pub place: String,
}

/// Names `folder` as the one of this database, if none is named yet. Where it lies may change. Slots are counted in
/// the same row, after those of an organisation: a transaction that locks both comes here last.
///
/// # Errors
/// [`StoreError::OtherFolder`] when another one is named.
pub async fn join(tx: &mut Tx, folder: &DataFolder) -> Result<(), StoreError> {
    let rows = tx
        .raw(
            "update deployment set folder_id = $1, place = $2
             where folder_id is null or folder_id = $1 returning id",
            args![folder.id, folder.place],
        )
        .await?;
    if !rows.is_empty() {
        return Ok(());
    }
    let places = tx
        .scalars::<String>("select place as value from deployment", args![])
        .await?;
    Err(StoreError::OtherFolder {
        here: folder.place.clone(),
        named: places.into_iter().next().unwrap_or_default(),
    })
}

/// Whether `folder` is named, where it lies now: then there is nothing to write.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_named(tx: &mut Tx, folder: &DataFolder) -> Result<bool, StoreError> {
    let rows = tx
        .raw(
            "select id from deployment where folder_id = $1 and place = $2",
            args![folder.id, folder.place],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// Begins the time of a new orchestrator; returns the fence its commits carry from now on, in every organisation.
///
/// # Errors
/// When the database cannot be written.
pub async fn take_over(tx: &mut Tx) -> Result<i64, StoreError> {
    // The local organisation's row is locked first: until this commits, none is made that would keep the earlier fence.
    let rows = tx
        .raw(
            "update organisations set owner_fence = owner_fence + 1 where id = $1 returning owner_fence",
            args![OrgId::LOCAL],
        )
        .await?;
    let fence = rows
        .first()
        .map(|row| i64::read(row, "owner_fence"))
        .ok_or(StoreError::Database(sqlx::Error::RowNotFound))??;
    // Whoever changes the members of several organisations locks their rows in the same order.
    tx.locked_rows(
        "select id from organisations where id <> $1 and id <> $2 order by id",
        args![OrgId::LOCAL],
    )
    .await?;
    tx.execute_global(
        "update organisations set owner_fence = $1 where id <> $2",
        args![fence, OrgId::LOCAL],
    )
    .await?;
    Ok(fence)
}

/// The fence that an organisation begins with which is made in this transaction: that of the orchestrator of now. None
/// takes over until the transaction ends.
pub(crate) async fn hold_fence(tx: &mut Tx) -> Result<i64, StoreError> {
    let rows = tx
        .raw(
            "update organisations set owner_fence = owner_fence where id = $1 returning owner_fence",
            args![OrgId::LOCAL],
        )
        .await?;
    let fence = rows.first().map(|row| i64::read(row, "owner_fence"));
    fence.ok_or(StoreError::Database(sqlx::Error::RowNotFound))?
}

/// Counts a revocation, so that processes that hear of it by no hint learn that there was one. As slots, it is counted
/// after all else that a transaction locks.
///
/// # Errors
/// When the database cannot be written.
pub async fn count_revocation(tx: &mut Tx) -> Result<(), StoreError> {
    let sql = "update deployment set revocations = revocations + 1";
    tx.execute_global(sql, args![]).await.map(drop)
}

/// Revocations so far.
///
/// # Errors
/// When the database cannot be read.
pub async fn revocations_counted(tx: &mut Tx) -> Result<i64, StoreError> {
    let counted = tx.scalars::<i64>("select revocations as value from deployment", args![]);
    Ok(counted.await?.first().copied().unwrap_or_default())
}

/// SQL that holds while no later orchestrator has taken over. `$fence` is the parameter with the
/// transaction's own fence, which is 0 outside an orchestrator. What it refuses touches no row:
/// [`refuse_earlier`] says why.
macro_rules! fence_holds {
    ($fence:literal) => {
        concat!(
            "exists (select 1 from organisations o where o.id = $1 and (",
            $fence,
            " = 0 or o.owner_fence = ",
            $fence,
            "))"
        )
    };
}
pub(crate) use fence_holds;

/// Tells an earlier orchestrator that one of its fenced statements, which wrote `rows`, was refused.
/// One that found nothing to write is no such.
pub(crate) async fn refuse_earlier(tx: &mut Tx, rows: u64) -> Result<(), StoreError> {
    if rows > 0 || tx.fence() == 0 {
        return Ok(());
    }
    let current = tx
        .rows(
            "select owner_fence from organisations where id = $1",
            args![],
        )
        .await?;
    for row in &current {
        if i64::read(row, "owner_fence")? != tx.fence() {
            return Err(StoreError::TakenOver);
        }
    }
    Ok(())
}

/// Ends every wait of the organisation for an instant to come, if the clock was set back: its newest event lies in the
/// future then, and by how many microseconds is returned. Instants kept for other ends stay.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_waits_of_the_future(tx: &mut Tx) -> Result<Option<i64>, StoreError> {
    let newest = tx
        .rows(
            "select occurred_at from events where org_id = $1 order by seq desc limit 1",
            args![],
        )
        .await?;
    let newest = newest
        .first()
        .map(|row| Timestamp::read(row, "occurred_at"));
    let newest = newest.transpose()?.unwrap_or_default();
    let now = tx.now();
    let ahead = newest.as_micros() - now.as_micros();
    if ahead <= 0 {
        return Ok(None);
    }
    end_all_waits(tx).await?;
    Ok(Some(ahead))
}

/// What names the models that answered last; none before the first.
///
/// # Errors
/// When the database cannot be read.
pub async fn known_models(tx: &mut Tx) -> Result<Option<String>, StoreError> {
    let known = tx
        .scalars::<Option<String>>("select models_digest as value from deployment", args![])
        .await?;
    Ok(known.into_iter().flatten().next())
}

/// Keeps what names the models that answer from now on. What waited for what other models said is ended before, by
/// [`end_all_waits`]: who dies in between ends it again.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_models(tx: &mut Tx, digest: &str) -> Result<(), StoreError> {
    tx.raw(
        "update deployment set models_digest = $1 returning id",
        args![digest.to_owned()],
    )
    .await?;
    Ok(())
}

/// The providers that the orchestrator asks with a key, by name.
///
/// # Errors
/// When the database cannot be read.
pub async fn key_providers(tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    let known = tx
        .scalars::<Option<Json<Vec<String>>>>(
            "select key_providers as value from deployment",
            args![],
        )
        .await?;
    let known = known.into_iter().flatten().next();
    Ok(known.map(|Json(names)| names).unwrap_or_default())
}

/// Keeps the providers that the orchestrator asks with a key.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_key_providers(tx: &mut Tx, names: &[String]) -> Result<(), StoreError> {
    let names = Json(names.to_vec());
    let sql = "update deployment set key_providers = $1";
    tx.execute_global(sql, args![names]).await.map(drop)
}

/// Ends every wait of the organisation for an instant to come; whether there was one.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_all_waits(tx: &mut Tx) -> Result<bool, StoreError> {
    let now = tx.now();
    let tasks = tx.execute(
        "update tasks set not_before = $2 where org_id = $1 and not_before > $2",
        args![now],
    );
    let n_tasks = tasks.await?;
    let phases = tx.execute(
        "update spec_phase_runs set not_before = $2 where org_id = $1 and not_before > $2",
        args![now],
    );
    Ok(n_tasks + phases.await? > 0)
}
