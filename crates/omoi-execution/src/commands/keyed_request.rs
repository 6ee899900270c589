//! Requests that their senders named: taken up, answered, given up. See `omoi_store::request_keys`.

use omoi_domain::crash::CrashPoint;
use omoi_store::request_keys::{self, KeptAnswer, KeyedRequest, RequestDigests, RunningRequest};
use omoi_store::{Store, StoreError, Tx};

/// Takes up a request, or finds what became of an earlier one with its key.
///
/// # Errors
/// When the database cannot be written.
pub async fn claim_request(
    store: &Store,
    digests: &RequestDigests,
) -> Result<KeyedRequest, StoreError> {
    let claim = async |tx: &mut Tx| request_keys::claim(tx, digests).await;
    store.system().write(CrashPoint::RequestKeyed, claim).await
}

/// Keeps what a request was answered with, as a row of the organisation that it is about where there is a body.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_answer(
    store: &Store,
    running: RunningRequest,
    status: u32,
    answer: Option<&KeptAnswer>,
) -> Result<(), StoreError> {
    let keep = async |tx: &mut Tx| request_keys::keep_answer(tx, running, status, answer).await;
    let point = CrashPoint::RequestKeyed;
    match answer {
        Some(kept) => store.tenant(kept.org_id).write(point, keep).await,
        None => store.system().write(point, keep).await,
    }
}

/// Notes that a request was answered with what is told once.
///
/// # Errors
/// When the database cannot be written.
pub async fn note_shown(store: &Store, running: RunningRequest) -> Result<(), StoreError> {
    let note = async |tx: &mut Tx| request_keys::note_shown(tx, running).await;
    store.system().write(CrashPoint::RequestKeyed, note).await
}

/// Frees the key of a request that was refused before it changed anything.
///
/// # Errors
/// When the database cannot be written.
pub async fn give_up_request(store: &Store, running: RunningRequest) -> Result<(), StoreError> {
    let free = async |tx: &mut Tx| request_keys::give_up(tx, running).await;
    store.system().write(CrashPoint::RequestKeyed, free).await
}
