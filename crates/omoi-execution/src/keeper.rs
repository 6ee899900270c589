//! What goes on beside the reconcilers in every process that runs attempts: their leases are kept,
//! and a soft stop reaches their agents.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{info, warn};

use omoi_domain::crash::CrashPoint;
use omoi_runtime::BoxError;
use omoi_runtime::lifecycle::SpawnKind;
use omoi_store::{StoreError, attempts};

use crate::platform::Platform;

/// How often leases are renewed.
const PERIOD: Duration = Duration::from_secs(3);
/// How often a stopping process looks for attempts that came up in between.
const LOOK: Duration = Duration::from_millis(200);

/// Starts both. Unlike reconcilers they need no lease of their own: each process keeps what it holds.
pub fn start(platform: &Platform) {
    let (leases, stop) = (platform.clone(), platform.clone());
    let lifecycle = &platform.lifecycle;
    lifecycle.spawn("lease keeper", SpawnKind::Critical, keep(leases));
    lifecycle.spawn("agents' stop", SpawnKind::Critical, stop_agents(stop));
}

async fn keep(platform: Platform) -> Result<(), BoxError> {
    loop {
        if let Err(error) = renew(&platform).await {
            warn!(error = %error, "Could not renew the leases");
        }
        // Cancel-safe: a token, a notification and a timer.
        tokio::select! {
            () = platform.clock.sleep(PERIOD) => {}
            () = platform.clone().work_ended() => return Ok(()),
        }
    }
}

/// Renews the leases of what this process works on, and of nothing else: an attempt it forgot must
/// be found by the reaper.
///
/// # Errors
/// When the database cannot be written.
pub async fn renew(platform: &Platform) -> Result<(), StoreError> {
    let held = platform.running.ids();
    if held.is_empty() {
        return Ok(());
    }
    platform
        .store
        .write(CrashPoint::LeaseMoved, async |tx| {
            let until = tx.now() + platform.settings.lease;
            for id in held {
                attempts::renew(tx, &platform.owner, id, until).await?;
            }
            Ok(())
        })
        .await
}

/// Asks every agent to save and stop when the process is to stop.
async fn stop_agents(platform: Platform) -> Result<(), BoxError> {
    platform.lifecycle.soft_token().cancelled().await;
    let mut asked = BTreeSet::new();
    loop {
        for id in platform.running.ids() {
            if !asked.contains(&id) && platform.running.interrupt(id) {
                info!(attempt.id = %id, "Asking attempt `{id}` to save and stop");
                asked.insert(id);
            }
        }
        tokio::select! {
            () = platform.clock.sleep(LOOK) => {}
            () = platform.running.drained() => return Ok(()),
        }
    }
}
