//! The one data folder whose git repositories belong to this database, and who acts for it.
//!
//! Rows name commits, and commits lie in the mirrors of one folder. The lock of that folder lets in
//! one orchestrator at a time; each one that comes raises the fence, so that a commit of an earlier
//! one that still breathes is refused.

use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
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

/// Names `folder` as the one of this database, if none is named yet. Where it lies may change.
///
/// # Errors
/// [`StoreError::OtherFolder`] when another one is named.
pub async fn join(tx: &mut Tx, folder: &DataFolder) -> Result<(), StoreError> {
    let rows = tx
        .raw(
            "insert into deployment (id, folder_id, place) values (1, $1, $2)
             on conflict (id) do update set place = excluded.place
             where deployment.folder_id = excluded.folder_id
             returning folder_id",
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

/// Begins the time of a new orchestrator; returns the fence its commits carry from now on.
///
/// # Errors
/// When the database cannot be written.
pub async fn take_over(tx: &mut Tx) -> Result<i64, StoreError> {
    let rows = tx
        .raw(
            "update organisations set owner_fence = owner_fence + 1 returning owner_fence",
            args![],
        )
        .await?;
    let mut fences = rows.iter().map(|row| i64::read(row, "owner_fence"));
    fences.try_fold(0, |highest, fence| Ok(highest.max(fence?)))
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

/// Ends every wait for an instant to come, if the clock was set back: the newest event lies in the
/// future then, and by how many microseconds is returned. Instants kept for other ends stay.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_waits_of_the_future(tx: &mut Tx) -> Result<Option<i64>, StoreError> {
    let newest = tx
        .scalars::<Option<Timestamp>>("select max(occurred_at) as value from events", args![])
        .await?;
    let now = tx.now();
    let newest = newest.into_iter().flatten().next().unwrap_or_default();
    let ahead = newest.as_micros() - now.as_micros();
    if ahead <= 0 {
        return Ok(None);
    }
    end_all_waits(tx).await?;
    Ok(Some(ahead))
}

/// Keeps what names the models that answer from now on. Where that were others before, every wait for an
/// instant to come ends: what it waits for was said of those. Returns whether there was such a wait.
///
/// # Errors
/// When the database cannot be written.
pub async fn note_models(tx: &mut Tx, digest: &str) -> Result<bool, StoreError> {
    let known = tx
        .scalars::<Option<String>>("select models_digest as value from deployment", args![])
        .await?;
    let known = known.into_iter().flatten().next();
    if known.as_deref() == Some(digest) {
        return Ok(false);
    }
    tx.raw(
        "update deployment set models_digest = $1 returning id",
        args![digest.to_owned()],
    )
    .await?;
    match known {
        Some(_) => end_all_waits(tx).await,
        None => Ok(false),
    }
}

/// Ends every wait for an instant to come; whether there was one.
async fn end_all_waits(tx: &mut Tx) -> Result<bool, StoreError> {
    let now = tx.now();
    let tasks = tx.raw(
        "update tasks set not_before = $1 where not_before > $1 returning id",
        args![now],
    );
    let n_tasks = tasks.await?.len();
    let phases = tx.raw(
        "update spec_phase_runs set not_before = $1 where not_before > $1 returning phase",
        args![now],
    );
    Ok(n_tasks + phases.await?.len() > 0)
}
