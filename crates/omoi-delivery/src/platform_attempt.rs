//! Attempts the platform makes itself: at checks and at merges.

use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::AttemptId;
use omoi_execution::Platform;
use omoi_execution::attempt::{NewAttempt, insert};
use omoi_execution::platform::Held;
use omoi_store::attempts::{self, Attempt};
use omoi_store::specs::Spec;
use omoi_store::{StoreError, Tx};

/// Begins an attempt of the platform; it is live until [`end`]. Whoever does its work keeps the
/// returned hold for as long as that takes: without it the attempt counts as lost.
pub(crate) async fn begin(
    tx: &mut Tx,
    platform: &Platform,
    spec: &Spec,
    about: (AttemptSubject, u32),
) -> Result<(Attempt, Held), StoreError> {
    let (subject, round) = about;
    let fence = attempts::of_subject(tx, spec.id, subject).await?.len() as i64 + 1;
    let new = NewAttempt {
        project_id: spec.project_id,
        spec_id: spec.id,
        subject,
        round,
        role: AgentRole::Platform,
        fence,
        base_sha: None,
    };
    let mut attempt = insert(tx, platform, new).await?.attempt;
    attempts::transition(tx, &mut attempt, AttemptState::Starting).await?;
    let held = platform.hold(attempt.id);
    Ok((attempt, held))
}

/// Ends an attempt of the platform inside the caller's transaction. False when it is over already,
/// as after a lost lease: then the caller must not write.
pub(crate) async fn end(
    tx: &mut Tx,
    id: AttemptId,
    failure: Option<&str>,
) -> Result<bool, StoreError> {
    let mut attempt = attempts::get(tx, id).await?;
    if !attempt.state.is_live() {
        return Ok(false);
    }
    attempt.error_message = failure.map(str::to_owned);
    attempt.stop_reason = Some(match failure {
        Some(_) => AttemptStopReason::Error,
        None => AttemptStopReason::Done,
    });
    let to = if failure.is_some() {
        AttemptState::Failed
    } else {
        AttemptState::Succeeded
    };
    attempts::transition(tx, &mut attempt, to).await?;
    Ok(true)
}

/// Ends an attempt that could not do its work, in a transaction of its own.
pub(crate) async fn give_up(
    platform: &Platform,
    id: AttemptId,
    failure: &str,
) -> Result<(), StoreError> {
    let mut tx = platform.store.begin_write().await?;
    if end(&mut tx, id, Some(failure)).await? {
        tx.commit(CrashPoint::AttemptEnded).await?;
    }
    Ok(())
}
