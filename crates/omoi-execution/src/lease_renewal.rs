//! What goes on beside the reconcilers in every process that runs attempts: their leases are kept,
//! and a soft stop reaches their agents.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{info, warn};

use omoi_domain::crash::CrashPoint;
use omoi_runtime::BoxError;
use omoi_runtime::lifecycle::SpawnKind;
use omoi_store::{StoreError, attempts};

use crate::deployment::Deployment;

/// How long an attempt lives without its owner's renewal.
pub(crate) const LEASE_TIME: Duration = Duration::from_secs(15);
/// How often leases are renewed.
const PERIOD: Duration = Duration::from_secs(3);
/// How often a stopping process looks for attempts that came up in between.
const LOOK: Duration = Duration::from_millis(200);

/// Starts both. Unlike reconcilers they need no lease of their own: each process keeps what it holds.
pub fn start_lease_renewal(deployment: &Deployment) {
    let (leases, stop) = (deployment.clone(), deployment.clone());
    let lifecycle = &deployment.lifecycle;
    lifecycle.spawn("lease keeper", SpawnKind::Critical, keep_renewing(leases));
    lifecycle.spawn("agents' stop", SpawnKind::Critical, stop_agents(stop));
}

async fn keep_renewing(deployment: Deployment) -> Result<(), BoxError> {
    loop {
        if let Err(error) = renew_leases(&deployment).await {
            warn!(error = %error, "Could not renew the leases");
        }
        // Cancel-safe: a token, a notification and a timer.
        tokio::select! {
            () = deployment.clock.sleep(PERIOD) => {}
            () = deployment.clone().work_ended() => return Ok(()),
        }
    }
}

/// Renews the leases of what this process works on, and of nothing else: an attempt it forgot must
/// be found by the reaper.
///
/// # Errors
/// When the database cannot be written.
pub async fn renew_leases(deployment: &Deployment) -> Result<(), StoreError> {
    let held = deployment.running.attempt_ids();
    if held.is_empty() {
        return Ok(());
    }
    deployment
        .store
        .write(CrashPoint::LeaseMoved, async |tx| {
            let until = tx.now() + LEASE_TIME;
            for id in held {
                attempts::renew(tx, &deployment.owner, id, until).await?;
            }
            Ok(())
        })
        .await
}

/// Asks every agent to save and stop when the process is to stop.
async fn stop_agents(deployment: Deployment) -> Result<(), BoxError> {
    deployment.lifecycle.soft_token().cancelled().await;
    let mut asked = BTreeSet::new();
    loop {
        for id in deployment.running.attempt_ids() {
            if !asked.contains(&id) && deployment.running.interrupt_worker(id) {
                info!(attempt.id = %id, "Asking attempt `{id}` to save and stop");
                asked.insert(id);
            }
        }
        tokio::select! {
            () = deployment.clock.sleep(LOOK) => {}
            () = deployment.running.wait_drained() => return Ok(()),
        }
    }
}
