//! Applies what the transitions of attempts decide.

use omoi_domain::lifecycle::attempt::AttemptAction;
use omoi_domain::sandbox::SandboxState;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{StoreError, Tx, sandboxes};

/// Applies what a transition decided about an attempt and its sandbox, in order.
///
/// # Errors
/// When the database cannot be written.
pub(crate) async fn apply_to_attempt(
    tx: &mut Tx,
    attempt: &mut Attempt,
    actions: Vec<AttemptAction>,
) -> Result<(), StoreError> {
    // A move writes every field; what changes after the last one is saved at the end.
    let mut is_changed = false;
    for action in actions {
        match action {
            AttemptAction::KeepRung(rung) => attempt.rung = Some(rung),
            AttemptAction::KeepEnd {
                stop_reason,
                class,
                message,
            } => {
                attempt.stop_reason = Some(stop_reason);
                attempt.error_class = class;
                attempt.error_message = message;
            }
            AttemptAction::KeepHead(head) => attempt.head_sha = Some(head),
            AttemptAction::Move(to) => {
                attempts::transition(tx, attempt, to).await?;
                is_changed = false;
                continue;
            }
            AttemptAction::MoveSandbox(to) => {
                move_sandbox(tx, attempt, to).await?;
                continue;
            }
            AttemptAction::EndSandbox => {
                end_sandbox_row(tx, attempt).await?;
                continue;
            }
        }
        is_changed = true;
    }
    if is_changed {
        attempts::save(tx, attempt).await?;
    }
    Ok(())
}

async fn move_sandbox(tx: &mut Tx, attempt: &Attempt, to: SandboxState) -> Result<(), StoreError> {
    let mut sandbox = sandboxes::of_attempt(tx, attempt.id).await?;
    let scope = (attempt.project_id, attempt.spec_id);
    sandboxes::transition(tx, scope, &mut sandbox, to).await
}

async fn end_sandbox_row(tx: &mut Tx, attempt: &Attempt) -> Result<(), StoreError> {
    let mut sandbox = sandboxes::of_attempt(tx, attempt.id).await?;
    sandbox.reason = attempt.stop_reason;
    let scope = (attempt.project_id, attempt.spec_id);
    sandboxes::transition(tx, scope, &mut sandbox, SandboxState::Terminated).await
}
