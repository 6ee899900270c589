//! Attempts that are saved, because their model provider turned them away for too long.

use std::time::Duration;

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
use tracing::{info, warn};

use super::CallLedger;
use crate::attempt::lose_attempt;
use crate::outage::{FailedWork, next_outage_step};

/// How long a turn under way may take to be kept: its snapshot may be large.
const TURN_MAX: Duration = Duration::from_mins(2);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(100);

/// Ends an attempt whose call was turned away with `failed`, so that its work goes on later from its last
/// turn and snapshot. Drivers of agent programs hold a call back until the turn before it is committed; our own loop
/// says how many turns its call goes on from, the last of which may still be on its way, and is waited for. Then
/// nothing is left to be saved. Its worker is told with the answer to its call that it is over.
pub(super) async fn save_attempt(
    ledger: &CallLedger,
    id: AttemptId,
    n_turns: Option<u32>,
    failed: &FailedTry,
) -> Result<(), StoreError> {
    if let Some(n_turns) = n_turns {
        wait_for_turns(ledger, id, n_turns).await?;
    }
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

/// Waits until `n_turns` turns of a live attempt are committed, for as long as saving one may take.
async fn wait_for_turns(
    ledger: &CallLedger,
    id: AttemptId,
    n_turns: u32,
) -> Result<(), StoreError> {
    let until = ledger.clock.now() + TURN_MAX;
    loop {
        let is_open = async |tx: &mut Tx| -> Result<bool, StoreError> {
            let is_live = attempts::get(tx, id).await?.state.is_live();
            Ok(is_live && attempts::n_turns(tx, id).await? < n_turns)
        };
        if !ledger.store.read(is_open).await? {
            return Ok(());
        }
        if ledger.clock.now() >= until {
            warn!(attempt.id = %id, n_turns, "The last turn of `{id}` was not kept in time; its agent takes it again");
            return Ok(());
        }
        ledger.clock.sleep(LOOK).await;
    }
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
