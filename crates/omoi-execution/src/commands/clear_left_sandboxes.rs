//! Ends the rows of sandboxes that nobody follows any more.

use std::time::Duration;

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::AttemptId;
use omoi_domain::lifecycle::attempt::{LeftSandbox, SandboxStep, reap_sandbox};
use omoi_store::{StoreError, Tenant, Tx, attempts, sandboxes};

use crate::attempt::end_sandbox;
use crate::running_attempts::RunningAttempts;

/// Notes of every sandbox of the organisation that it is gone, where its attempt is over and this process does not follow
/// it: what the reaper does in its turn. Those at work stay. How many there were.
///
/// # Errors
/// When the database refuses.
pub async fn clear_left_sandboxes(
    tenant: &Tenant,
    running: &RunningAttempts,
) -> Result<u32, StoreError> {
    let open = tenant.read(async |tx| sandboxes::all_live(tx).await);
    let mut n_cleared = 0;
    for sandbox in open.await? {
        n_cleared += u32::from(clear_one(tenant, running, sandbox.attempt_id).await?);
    }
    info!(n_cleared, "A person had the rows of left sandboxes ended");
    Ok(n_cleared)
}

async fn clear_one(
    tenant: &Tenant,
    running: &RunningAttempts,
    attempt: AttemptId,
) -> Result<bool, StoreError> {
    let clear = async |tx: &mut Tx| {
        let mut attempt = attempts::get(tx, attempt).await?;
        let left = LeftSandbox {
            is_live: attempt.state.is_live(),
            is_followed: running.contains(attempt.id),
            over_for: attempt.ended_at.map(|at| tx.now().since(at)),
        };
        match reap_sandbox(left, Duration::MAX) {
            SandboxStep::Leave | SandboxStep::Kill => Ok(false),
            SandboxStep::End => end_sandbox(tx, &mut attempt).await.map(|()| true),
        }
    };
    tenant.write(CrashPoint::SandboxEnded, clear).await
}
