//! What goes on beside the reconcilers in every process that runs attempts: their leases are kept,
//! and a soft stop reaches their agents.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{debug, info, trace, warn};

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, OrgId};
use omoi_runtime::BoxError;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_runtime::telemetry::error_chain;
use omoi_store::{Store, StoreError, Tx, attempts};

use crate::deployment::{DeploymentParts, FromParts};
use crate::running_attempts::RunningAttempts;

/// How long an attempt lives without its owner's renewal.
pub(crate) const LEASE_TIME: Duration = Duration::from_secs(15);
/// How often leases are renewed.
const PERIOD: Duration = Duration::from_secs(3);
/// How often a stopping process looks for attempts that came up in between.
const LOOK: Duration = Duration::from_millis(200);

/// Keeps what this process works on.
#[derive(Clone)]
pub struct LeaseRenewal {
    /// The rows it reads and writes, of every organisation.
    pub store: Store,
    /// Names this process in what it begins.
    pub owner: String,
    /// The attempts that this process works on.
    pub running: RunningAttempts,
    /// The clock of this process.
    pub clock: Clocked,
    /// Says when the process is to stop.
    pub lifecycle: LifecycleHandle,
}

impl FromParts for LeaseRenewal {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.store().clone(),
            owner: parts.owner.clone(),
            running: parts.running.clone(),
            clock: parts.clock.clone(),
            lifecycle: parts.lifecycle.clone(),
        }
    }
}

/// Starts the renewal of leases, and what asks agents to save and stop when the process is to stop.
pub fn start_lease_renewal(renewal: &LeaseRenewal) {
    let (leases, stop) = (renewal.clone(), renewal.clone());
    let lifecycle = &renewal.lifecycle;
    lifecycle.spawn("lease keeper", SpawnKind::Critical, keep_renewing(leases));
    lifecycle.spawn("agents' stop", SpawnKind::Critical, stop_agents(stop));
}

async fn keep_renewing(renewal: LeaseRenewal) -> Result<(), BoxError> {
    let mut renewed_at = renewal.clock.now();
    loop {
        let late = renewal.clock.now().since(renewed_at);
        if late > LEASE_TIME {
            let late_ms = late.as_millis() as u64;
            warn!(
                late_ms,
                "Leases are renewed late; other processes may have taken over"
            );
        }
        renewed_at = renewal.clock.now();
        renew_leases(&renewal).await;
        // Cancel-safe: a token, a notification and a timer.
        tokio::select! {
            () = renewal.clock.sleep(PERIOD) => {}
            () = renewal.running.work_ended(&renewal.lifecycle) => return Ok(()),
        }
    }
}

/// Renews the leases of what this process works on, and of nothing else: an attempt it forgot must
/// be found by the reaper. Those of one organisation that cannot be renewed keep no other's from it; they are tried again
/// the next time.
pub async fn renew_leases(renewal: &LeaseRenewal) {
    for (org, held) in renewal.running.attempts_by_org() {
        trace!(n_attempts = held.len(), "Renewing leases");
        if let Err(error) = renew_of_org(renewal, org, held).await {
            warn!(org.id = %org, error = %error_chain(&error), "Could not renew the leases");
        }
    }
}

async fn renew_of_org(
    renewal: &LeaseRenewal,
    org: OrgId,
    held: Vec<AttemptId>,
) -> Result<(), StoreError> {
    let renew = async |tx: &mut Tx| {
        let until = tx.now() + LEASE_TIME;
        for id in held {
            attempts::renew_lease(tx, &renewal.owner, id, until).await?;
        }
        Ok(())
    };
    let tenant = renewal.store.tenant(org);
    tenant.write(CrashPoint::LeaseMoved, renew).await
}

/// Asks every agent to save and stop when the process is to stop.
async fn stop_agents(renewal: LeaseRenewal) -> Result<(), BoxError> {
    renewal.lifecycle.soft_token().cancelled().await;
    let n_attempts = renewal.running.attempt_ids().len();
    debug!(n_attempts, "Asking agents to save and stop");
    let mut asked = BTreeSet::new();
    loop {
        for id in renewal.running.attempt_ids() {
            if !asked.contains(&id) && renewal.running.interrupt_worker(id) {
                info!(attempt.id = %id, "Asking attempt `{id}` to save and stop");
                asked.insert(id);
            }
        }
        tokio::select! {
            () = renewal.clock.sleep(LOOK) => {}
            () = renewal.running.wait_drained() => return Ok(()),
        }
    }
}
