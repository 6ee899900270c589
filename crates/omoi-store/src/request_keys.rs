//! Requests that their senders named, and what those of an organisation were answered with.
//!
//! A run of such a request carries a [`RunningRequest`] into every transaction that writes for it
//! ([`Store::for_run`](crate::Store::for_run)): the request is noted as done in the transaction that does what it
//! asks for, and a run whose place another one took writes nothing.

use omoi_domain::id::{KeyedRequestId, OrgId, RequestRunId};
use omoi_domain::request_key::{
    EarlierRequest, KEY_KEPT_FOR, KEY_LEASE, KeyDecision, RequestState, judge_key,
};
use omoi_domain::time::Timestamp;
use uuid::Uuid;

use crate::args;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

/// Expired requests that one which comes removes with their answers, at most.
const REMOVED_MAX: i64 = 16;

row! {
    /// A request that its sender named.
    RequestKeyRow in "request_keys" as "request" {
        /// Its id.
        id: KeyedRequestId,
        /// SHA-256 of who asked for what where, and of the key.
        request_digest: String,
        /// SHA-256 of its body.
        body_digest: String,
        /// The one run that may write for it.
        run_id: RequestRunId,
        /// How far it has come.
        state: RequestState,
        /// The row that it made.
        made_id: Option<Uuid>,
        /// The HTTP status of its answer.
        status: Option<u32>,
        /// Until when nobody takes its place.
        lease_until: Timestamp,
        /// Until when it counts.
        expires_at: Timestamp,
    }
}

impl GlobalRow for RequestKeyRow {}

row! {
    /// What a request was answered with.
    KeptAnswer in "kept_answers" as "answer" {
        /// The request.
        request_id: KeyedRequestId,
        /// Whose rows it is about.
        org_id: OrgId,
        /// The body.
        body: String,
        /// The header `ETag`.
        etag: Option<String>,
        /// The header `Location`.
        location: Option<String>,
    }
}

/// A run of a request that its sender named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningRequest {
    /// The request.
    pub id: KeyedRequestId,
    /// The run.
    pub run: RequestRunId,
}

/// Digests of a request and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestDigests {
    /// SHA-256 of who asks for what where, and of the key.
    pub request: String,
    /// SHA-256 of the body.
    pub body: String,
}

/// What a request with a key comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyedRequest {
    /// It is carried out.
    Run(RunningRequest),
    /// An earlier one did it, and its answer is lost: this run may write nothing.
    ShowAgain {
        /// The run that writes nothing.
        running: RunningRequest,
        /// The row that the earlier one made.
        made: Option<Uuid>,
    },
    /// It was answered, with this status.
    Replay {
        /// The request.
        id: KeyedRequestId,
        /// The HTTP status.
        status: u32,
    },
    /// An earlier one is not answered yet.
    Wait,
    /// The key is that of another request.
    RefuseReuse,
    /// The answer was told once.
    RefuseShown,
}

/// Takes up the request that `digests` name, or finds what became of an earlier one. Of several at once one is carried
/// out.
///
/// # Errors
/// When the database cannot be written.
pub async fn claim(tx: &mut Tx, digests: &RequestDigests) -> Result<KeyedRequest, StoreError> {
    remove_expired(tx, &digests.request).await?;
    let now = tx.now();
    let fresh = RequestKeyRow {
        id: tx.new_id(),
        request_digest: digests.request.clone(),
        body_digest: digests.body.clone(),
        run_id: tx.new_id(),
        state: RequestState::Open,
        made_id: None,
        status: None,
        lease_until: now + KEY_LEASE,
        expires_at: now + KEY_KEPT_FOR,
    };
    // Whoever comes second waits here until the first has committed, and finds its row.
    tx.insert_once(&fresh).await?;
    let found: Option<RequestKeyRow> = tx
        .lock_global(
            "update request_keys set state = state where request_digest = $1 returning id",
            "request_digest = $1",
            || Ok(args![digests.request]),
        )
        .await?;
    let kept = found.ok_or_else(|| StoreError::NotFound {
        what: "request",
        key: digests.request.clone(),
    })?;
    let running = RunningRequest {
        id: kept.id,
        run: fresh.run_id,
    };
    if kept.id == fresh.id {
        return Ok(KeyedRequest::Run(running));
    }
    judge_kept(tx, &kept, digests, running).await
}

async fn judge_kept(
    tx: &mut Tx,
    kept: &RequestKeyRow,
    digests: &RequestDigests,
    running: RunningRequest,
) -> Result<KeyedRequest, StoreError> {
    let now = tx.now();
    let earlier = EarlierRequest {
        state: kept.state,
        is_same_body: kept.body_digest == digests.body,
        lease_until: kept.lease_until,
        expires_at: kept.expires_at,
    };
    Ok(match judge_key(Some(earlier), now) {
        KeyDecision::Run | KeyDecision::TakeOver => {
            take_over(tx, running).await?;
            KeyedRequest::Run(running)
        }
        KeyDecision::Replay => KeyedRequest::Replay {
            id: kept.id,
            status: kept.status.unwrap_or_default(),
        },
        KeyDecision::ShowAgain => KeyedRequest::ShowAgain {
            running,
            made: kept.made_id,
        },
        KeyDecision::Wait => KeyedRequest::Wait,
        KeyDecision::RefuseReuse => KeyedRequest::RefuseReuse,
        KeyDecision::RefuseShown => KeyedRequest::RefuseShown,
    })
}

/// Gives the place of an earlier run, which wrote nothing, to this one.
async fn take_over(tx: &mut Tx, running: RunningRequest) -> Result<(), StoreError> {
    let now = tx.now();
    let (lease_until, expires_at) = (now + KEY_LEASE, now + KEY_KEPT_FOR);
    tx.execute_global(
        "update request_keys set run_id = $2, lease_until = $3, expires_at = $4 where id = $1",
        args![running.id, running.run, lease_until, expires_at],
    )
    .await?;
    Ok(())
}

/// Forgets `request` where its time is over, and a few others with their answers.
async fn remove_expired(tx: &mut Tx, request: &str) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute_global(
        "delete from request_keys where request_digest = $1 and expires_at <= $2",
        args![request, now],
    )
    .await?;
    tx.execute_global(
        "delete from request_keys where id in
             (select id from request_keys where expires_at <= $1 order by expires_at limit $2)",
        args![now, REMOVED_MAX],
    )
    .await?;
    Ok(())
}

/// Notes in the transaction of a change that the request it is made for is done, and which row it made.
pub(crate) async fn note_done(
    tx: &mut Tx,
    running: RunningRequest,
    made: Option<Uuid>,
) -> Result<(), StoreError> {
    let n_rows = tx
        .execute_global(
            "update request_keys set made_id = coalesce($3, made_id),
                 state = case when state = 'open' then 'done' else state end
             where id = $1 and run_id = $2",
            args![running.id, running.run, made],
        )
        .await?;
    match n_rows {
        0 => Err(StoreError::RequestDone),
        _ => Ok(()),
    }
}

/// Keeps what a request was answered with: `answer` where there is one, in the organisation that it is about.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_answer(
    tx: &mut Tx,
    running: RunningRequest,
    status: u32,
    answer: Option<&KeptAnswer>,
) -> Result<(), StoreError> {
    let n_rows = end_run(tx, running, RequestState::Answered, Some(status)).await?;
    if let Some(answer) = answer.filter(|_| n_rows > 0) {
        tx.insert_once(answer).await?;
    }
    Ok(())
}

/// Notes that a request was answered with what is told once.
///
/// # Errors
/// When the database cannot be written.
pub async fn note_shown(tx: &mut Tx, running: RunningRequest) -> Result<(), StoreError> {
    end_run(tx, running, RequestState::Shown, None).await?;
    Ok(())
}

/// Whoever shows again what an earlier run did ends the request too; nobody ends one that another run carries out.
async fn end_run(
    tx: &mut Tx,
    running: RunningRequest,
    state: RequestState,
    status: Option<u32>,
) -> Result<u64, StoreError> {
    tx.execute_global(
        "update request_keys set state = $3, status = $4
         where id = $1 and (state = 'done' or (state = 'open' and run_id = $2))",
        args![running.id, running.run, state, status],
    )
    .await
}

/// Gives up a run that was refused before it wrote anything: its key is good for another try at once.
///
/// # Errors
/// When the database cannot be written.
pub async fn give_up(tx: &mut Tx, running: RunningRequest) -> Result<(), StoreError> {
    tx.execute_global(
        "delete from request_keys where id = $1 and run_id = $2 and state = 'open'",
        args![running.id, running.run],
    )
    .await?;
    Ok(())
}

/// What a request of this organisation was answered with; none for an answer without a body.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_answer(
    tx: &mut Tx,
    request: KeyedRequestId,
) -> Result<Option<KeptAnswer>, StoreError> {
    tx.find("request_id = $2", args![request]).await
}
