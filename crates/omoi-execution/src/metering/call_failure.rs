//! Telling people of a model call that failed.

use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{CallFailed, Event};
use omoi_domain::id::AttemptId;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::meter::Caller;
use omoi_store::StoreError;
use omoi_store::attempts;

use crate::platform::Platform;

/// Writes the event of a failed try of `attempt`.
pub(super) async fn tell(
    platform: &Platform,
    attempt: AttemptId,
    caller: &Caller,
    failed: &FailedTry,
) -> Result<(), StoreError> {
    let mut tx = platform.store.write().await?;
    let attempt = attempts::get(&mut tx, attempt).await?;
    let event = Event::ModelCallFailed(CallFailed {
        attempt_id: attempt.id,
        subject: attempt.subject,
        subject_id: attempt.subject_id,
        role: caller.role.clone(),
        provider: failed.provider.clone(),
        model: failed.model.clone(),
        status: failed.status,
        message: failed.words.clone(),
        n_calls: failed.n_calls,
        calls_max: failed.calls_max,
        next_at: failed.next_at,
        until: failed.until,
    });
    tx.emit(Some(attempt.project_id), Some(attempt.spec_id), event);
    tx.commit(CrashPoint::EventsStored).await
}
