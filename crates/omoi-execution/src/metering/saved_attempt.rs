//! Attempts that are saved, because their model provider turned them away for too long.

use omoi_domain::attempt::{AttemptState, AttemptStopReason};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{Event, SavedAttempt};
use omoi_domain::id::{AttemptId, HumanRef};
use omoi_domain::lifecycle::attempt::AttemptLoss;
use omoi_domain::outage::OutageStep;
use omoi_domain::retry::ErrorClass;
use omoi_llm::failed_try::FailedTry;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{StoreError, Tx, specs};
use tracing::info;

use super::CallLedger;
use crate::attempt::lose_attempt;
use crate::outage::{FailedWork, next_outage_step};

/// Ends an attempt whose call was turned away with `failed`, so that its work goes on later from its last
/// turn and snapshot. Each turn was committed before the call that follows it, which the drivers of agent
/// programs hold back until then, so nothing is left to be saved. Its worker is told with the answer to its call that it is over.
pub(super) async fn save_attempt(
    ledger: &CallLedger,
    id: AttemptId,
    failed: &FailedTry,
) -> Result<(), StoreError> {
    let save = async |tx: &mut Tx| -> Result<Option<(SavedAttempt, HumanRef)>, StoreError> {
        let mut attempt = attempts::get(tx, id).await?;
        if !attempt.state.is_live() {
            return Ok(None);
        }
        attempt.wakes_at = failed.reset_at;
        let class = match failed.status {
            Some(429) => ErrorClass::RateLimited,
            _ => ErrorClass::Upstream5xx,
        };
        let loss = AttemptLoss {
            state: AttemptState::Interrupted,
            stop_reason: AttemptStopReason::ProviderWait,
            class,
            message: failure_message(failed),
            counts: false,
        };
        lose_attempt(tx, &ledger.failures, &mut attempt, loss).await?;
        let work = FailedWork {
            spec_id: attempt.spec_id,
            subject: attempt.subject,
            class,
        };
        let step = next_outage_step(tx, &ledger.failures, work).await?;
        let OutageStep::TryAgain { at, .. } = step else {
            // A person is asked, who is told so by what blocks the work.
            return Ok(None);
        };
        let saved = saved_event(&attempt, failed, at);
        let scope = (Some(attempt.project_id), Some(attempt.spec_id));
        tx.emit(scope.0, scope.1, Event::AttemptSaved(saved.clone()));
        let spec = HumanRef::spec(specs::get(tx, attempt.spec_id).await?.number);
        Ok(Some((saved, spec)))
    };
    let saved = ledger.store.write(CrashPoint::AttemptEnded, save).await?;
    if let Some((saved, spec)) = saved {
        let told = saved.one_line();
        info!(attempt.id = %id, "Attempt `{id}` is saved: {told}; now: omoi spec resume {spec}");
    }
    Ok(())
}

fn failure_message(failed: &FailedTry) -> String {
    let FailedTry {
        provider, words, ..
    } = failed;
    match failed.status {
        Some(status) => format!("{provider} answered {status}: {words}"),
        None => format!("{provider} gave no answer: {words}"),
    }
}

fn saved_event(
    attempt: &Attempt,
    failed: &FailedTry,
    wakes_at: omoi_domain::time::Timestamp,
) -> SavedAttempt {
    SavedAttempt {
        attempt_id: attempt.id,
        subject: attempt.subject,
        role: attempt.role,
        provider: failed.provider.clone(),
        status: failed.status,
        message: failed.words.clone(),
        wakes_at,
    }
}
