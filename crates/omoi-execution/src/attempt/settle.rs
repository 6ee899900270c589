//! What becomes of an attempt whose worker is gone.

use omoi_domain::attempt::SubjectKind;
use omoi_domain::crash::CrashPoint;
use omoi_domain::lifecycle::attempt::{AttemptLoss, ended_state};
use omoi_domain::sandbox::SandboxState;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{StoreError, Tx, sandboxes};

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
        if attempt.state.is_live() {
            lose_attempt(tx, &starter.failures, &mut attempt, loss).await?;
        }
        end_sandbox(tx, &attempt).await
    };
    starter.store.write(CrashPoint::SandboxEnded, settle).await
}

/// Ends a live attempt from the platform's side and moves its task on. Phases, checks and merges
/// are taken up again by their own reconcilers.
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
    attempt.stop_reason = Some(loss.stop_reason);
    attempt.error_class = Some(loss.class);
    attempt.error_message = Some(loss.message.clone());
    let to = ended_state(attempt.state, loss.state);
    attempts::transition(tx, attempt, to).await?;
    if attempt.subject.kind() == SubjectKind::Task {
        tasks::attempt_lost(tx, failures, attempt, &loss).await?;
    }
    Ok(())
}

/// Notes that an attempt's sandbox is gone.
pub(crate) async fn end_sandbox(tx: &mut Tx, attempt: &Attempt) -> Result<(), StoreError> {
    let mut sandbox = match sandboxes::of_attempt(tx, attempt.id).await {
        Ok(sandbox) => sandbox,
        // It failed before there was one.
        Err(StoreError::NotFound { .. }) => return Ok(()),
        Err(other) => return Err(other),
    };
    if sandbox.state == SandboxState::Terminated {
        return Ok(());
    }
    sandbox.reason = attempt.stop_reason;
    let scope = (attempt.project_id, attempt.spec_id);
    sandboxes::transition(tx, scope, &mut sandbox, SandboxState::Terminated).await
}
