//! What becomes of work whose attempt the model provider failed.

use omoi_domain::attempt::{AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::event::{Event, EventKind, StoredEvent};
use omoi_domain::id::SpecId;
use omoi_domain::outage::{
    EndedAttempt, OutageRecord, OutageStep, is_provider_failure, outage_step,
};
use omoi_domain::postponed_start::{EndedStart, PostponedStep, postponed_step};
use omoi_domain::retry::{ErrorClass, PhaseFailure};
use omoi_domain::time::Timestamp;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{StoreError, Tenant, Tx, events, specs};

use crate::failure_policy::FailurePolicy;

/// What follows on `last`, an attempt that the provider failed with `class`.
///
/// # Errors
/// When the database cannot be read.
pub async fn step_of(
    store: &Tenant,
    failures: &FailurePolicy,
    last: &Attempt,
    class: ErrorClass,
) -> Result<OutageStep, StoreError> {
    store
        .read(async |tx| {
            let failed = FailedWork {
                spec_id: last.spec_id,
                subject: last.subject,
                class,
            };
            next_outage_step(tx, failures, failed).await
        })
        .await
}

/// Work whose last attempt the provider failed.
#[derive(Clone, Copy)]
pub(crate) struct FailedWork {
    /// The spec it is done for.
    pub(crate) spec_id: SpecId,
    /// The work.
    pub(crate) subject: AttemptSubject,
    /// The kind of error.
    pub(crate) class: ErrorClass,
}

/// As [`step_of`], inside a transaction.
pub(crate) async fn next_outage_step(
    tx: &mut Tx,
    failures: &FailurePolicy,
    failed: FailedWork,
) -> Result<OutageStep, StoreError> {
    let (spec, subject) = (failed.spec_id, failed.subject);
    let all = attempts::of_subject(tx, spec, subject).await?;
    let ended: Vec<EndedAttempt> = all.iter().filter_map(ended_attempt).collect();
    let record = OutageRecord {
        attempts: &ended,
        answered_at: attempts::answered_at(tx, spec, subject).await?,
        resumed_at: resumed_at(tx, spec, subject).await?,
        spread: all.last().map_or(0.0, wake_spread),
    };
    let wait = failures.outage_wait;
    Ok(outage_step(failed.class, record, tx.now(), wait))
}

/// When a person last had the spec or this very subject go on; none when nobody did.
pub(crate) async fn resumed_at(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<Option<Timestamp>, StoreError> {
    let resumed_at = specs::resumed_at(tx, spec).await?;
    Ok(resumed_at.max(freed_at(tx, spec, subject).await?))
}

/// What follows when the start of the last attempt at `subject` was put off.
///
/// # Errors
/// When the database cannot be read.
pub async fn postponed_start_step(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<PostponedStep, StoreError> {
    let all = attempts::of_subject(tx, spec, subject).await?;
    let starts = all.iter().map(|attempt| EndedStart {
        state: attempt.state,
        stop_reason: attempt.stop_reason,
        ended_at: attempt.ended_at,
    });
    let starts: Vec<EndedStart> = starts.collect();
    let resumed_at = resumed_at(tx, spec, subject).await?;
    Ok(postponed_step(&starts, resumed_at, tx.now()))
}

/// When a blocked task last was put back into the queue: whoever tries it again by itself gives it all
/// the time again.
async fn freed_at(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<Option<Timestamp>, StoreError> {
    let freed = events::of_kind(tx, spec, EventKind::TaskUnblocked).await?;
    let is_own = |stored: &&StoredEvent| match &stored.event {
        Event::TaskUnblocked(change) => Some(change.task_id) == subject.task_id(),
        _ => false,
    };
    let last = freed.iter().filter(is_own).map(|stored| stored.occurred_at);
    Ok(last.max())
}

/// The place of the work of `attempt` among all that wait for one time: its id ends at random.
fn wake_spread(attempt: &Attempt) -> f64 {
    let [.., high, low] = attempt.id.as_uuid().into_bytes();
    f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX)
}

/// The attempt of an agent, if it ended by itself: one that was stopped or lost says nothing about the
/// provider.
fn ended_attempt(attempt: &Attempt) -> Option<EndedAttempt> {
    let is_saved = attempt.stop_reason == Some(AttemptStopReason::ProviderWait);
    let by_itself = matches!(
        attempt.state,
        AttemptState::Succeeded | AttemptState::Incomplete | AttemptState::Failed
    );
    if !(by_itself || is_saved) || attempt.subject.kind().is_of_platform() {
        return None;
    }
    Some(EndedAttempt {
        began_at: attempt.created_at,
        ended_at: attempt.ended_at?,
        is_outage: (is_saved || attempt.state == AttemptState::Failed)
            && attempt.error_class.is_some_and(is_provider_failure),
        is_saved,
        wakes_at: attempt.wakes_at,
    })
}

/// Why work waits for a person: a stable word, the class and the provider's own words.
pub fn outage_reason(class: ErrorClass, message: &str) -> String {
    format!("{} ({class}): {message}", PhaseFailure::ProviderUnavailable)
}
