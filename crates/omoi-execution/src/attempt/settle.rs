//! What becomes of an attempt whose worker is gone.
use tracing::debug;

use omoi_domain::crash::CrashPoint;
use omoi_domain::lifecycle::attempt::{AttemptLoss, end_lost, sandbox_gone};
use omoi_store::attempts::{self, Attempt};
use omoi_store::{StoreError, Tx, sandboxes};

use super::apply_to_attempt;

use super::AttemptStarter;
use crate::failure_policy::FailurePolicy;
use crate::tasks;

/// Settles an attempt after its process is gone. One that reported its outcome is left as it is.
pub(super) async fn after_exit(
    starter: &AttemptStarter,
    attempt: &Attempt,
    loss: AttemptLoss,
) -> Result<(), StoreError> {
    let settle = async |tx: &mut Tx| {
        let mut attempt = attempts::get(tx, attempt.id).await?;
        lose_attempt(tx, &starter.failures, &mut attempt, loss).await?;
        end_sandbox(tx, &mut attempt).await
    };
    starter.store.write(CrashPoint::SandboxEnded, settle).await
}

/// Ends an attempt from the platform's side and moves its task on; one that is over stays as it ended.
/// Phases, checks and merges are taken up again by their own reconcilers.
///
/// # Errors
/// When the database cannot be written.
pub async fn lose_attempt(
    tx: &mut Tx,
    failures: &FailurePolicy,
    attempt: &mut Attempt,
    loss: AttemptLoss,
) -> Result<(), StoreError> {
    let loss = AttemptLoss {
        // It may hold what a worker printed.
        message: failures.mask.mask_text(&loss.message).into_owned(),
        ..loss
    };
    let actions = end_lost(attempt.state, &loss);
    if actions.is_empty() {
        return Ok(());
    }
    apply_to_attempt(tx, attempt, actions).await?;
    debug!(
        attempt.id = %attempt.id, reason = %loss.stop_reason, class = %loss.class,
        "Attempt `{}` ended without a report: {}", attempt.id, loss.message
    );
    tasks::attempt_lost(tx, failures, attempt, &loss).await
}

/// Notes that an attempt's sandbox is gone.
pub(crate) async fn end_sandbox(tx: &mut Tx, attempt: &mut Attempt) -> Result<(), StoreError> {
    let sandbox = match sandboxes::of_attempt(tx, attempt.id).await {
        Ok(sandbox) => sandbox,
        // It failed before there was one.
        Err(StoreError::NotFound { .. }) => return Ok(()),
        Err(other) => return Err(other),
    };
    apply_to_attempt(tx, attempt, sandbox_gone(sandbox.state)).await
}
