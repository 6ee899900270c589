//! Telling people of a model call that failed.

use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{CallFailed, Event};
use omoi_domain::outage::CallWait;
use omoi_domain::principal::CallPurpose;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::meter::ModelCaller;
use omoi_store::{StoreError, Tenant, attempts};

/// Writes the event of a failed try of the attempt that asks, or for which the platform asks.
pub(super) async fn tell_call_failure(
    store: &Tenant,
    caller: &ModelCaller,
    failed: &FailedTry,
) -> Result<(), StoreError> {
    store
        .write(CrashPoint::EventsStored, async |tx| {
            let principal = caller.principal;
            let attempt = match principal.purpose {
                CallPurpose::Attempt(id) => Some(attempts::get(tx, id).await?),
                CallPurpose::Judge => {
                    let live = attempts::all_live(tx).await?.into_iter();
                    let mut asks =
                        live.filter(|a| a.spec_id == principal.spec && a.role == caller.role);
                    asks.next()
                }
            };
            let Some(attempt) = attempt else {
                // It was ended meanwhile.
                return Ok(());
            };
            let event = Event::ModelCallFailed(CallFailed {
                attempt_id: attempt.id,
                subject: attempt.subject,
                role: caller.role,
                provider: failed.provider.clone(),
                model: failed.model.clone(),
                status: failed.status,
                message: failed.words.clone(),
                n_calls: failed.n_calls,
                calls_max: failed.calls_max,
                next_at: failed.next_at,
                until: failed.until,
                is_waiting: failed.wait == CallWait::Waiting,
            });
            tx.emit(Some(attempt.project_id), Some(attempt.spec_id), event);
            Ok(())
        })
        .await
}
