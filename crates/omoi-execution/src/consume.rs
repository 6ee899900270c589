//! Ties reconcilers to the outbox: an event wakes those that the registry names for it.
//!
//! An event decides nothing: rows do. So no consumer keeps how far it has read, and a pass that finds
//! nothing to do writes nothing.

use std::collections::BTreeMap;
use std::future;
use std::sync::Arc;

use futures::future::BoxFuture;
use tracing::warn;

use omoi_domain::event::Consumer;
use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::bus::{Bus, BusHint};
use omoi_runtime::lifecycle::SpawnKind;
use omoi_runtime::reconcile::{Entities, Next, Nudge, ReconcileDriver, Reconciler, StatusReader};
use omoi_store::{StoreError, events};

use crate::deployment::Deployment;
use crate::disk_room::LOOK;
use crate::lease_renewal;

/// The topic of the outbox on the bus.
const TOPIC: &str = "outbox";

/// A reconciler that acts on events of its kind.
pub trait EventConsumer: Send {
    /// Which one it is.
    fn consumer(&self) -> Consumer;

    /// One pass over the rows. May run twice without harm. Each spec, task or attempt has its turn
    /// through `entities`, so that one that fails keeps no other from its own.
    ///
    /// # Errors
    /// What concerns the whole pass is logged with its chain and retried after a growing pause.
    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>>;
}

/// A consumer as the driver sees it.
struct ConsumerReconciler {
    inner: Box<dyn EventConsumer>,
    deployment: Deployment,
}

impl Reconciler for ConsumerReconciler {
    fn name(&self) -> &'static str {
        self.inner.consumer().as_str()
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        // The reaper begins nothing: it clears away.
        if self.inner.consumer() != Consumer::Reaper && self.deployment.disk_shortage().is_some() {
            return Box::pin(future::ready(Ok(Next::At(now + LOOK))));
        }
        self.inner.tick(now, entities)
    }
}

/// Starts `consumers`, the pump that wakes them and what keeps their attempts; returns their status
/// readers.
pub fn start_consumers(
    deployment: &Deployment,
    bus: &Arc<dyn Bus>,
    consumers: Vec<Box<dyn EventConsumer>>,
) -> Vec<StatusReader> {
    let mut nudges = BTreeMap::new();
    let mut readers = Vec::new();
    for inner in consumers {
        let consumer = inner.consumer();
        let driver = ReconcileDriver::new(
            Box::new(ConsumerReconciler {
                inner,
                deployment: deployment.clone(),
            }),
            deployment.monitoring.poll,
            deployment.clock.clone(),
            deployment.rng.fork(),
        );
        nudges.insert(consumer, driver.nudge_handle());
        readers.push(driver.status_reader());
        driver.spawn(&deployment.lifecycle);
    }
    lease_renewal::start_lease_renewal(deployment);
    let pump = wake_consumers(deployment.clone(), Arc::clone(bus), nudges);
    deployment
        .lifecycle
        .spawn("outbox pump", SpawnKind::Critical, pump);
    readers
}

/// Tells other processes of commits made here, so that their pumps wake.
pub fn publish_commits(deployment: &Deployment, bus: &Arc<dyn Bus>) {
    let (deployment_, bus) = (deployment.clone(), Arc::clone(bus));
    deployment
        .lifecycle
        .spawn("outbox publisher", SpawnKind::Critical, async move {
            let mut commits = deployment_.store.store().commits();
            let soft = deployment_.lifecycle.soft_token();
            loop {
                // Both futures are cancel-safe: a watch and a token.
                tokio::select! {
                    changed = commits.changed() => if changed.is_err() { break },
                    () = soft.cancelled() => break,
                }
                let seq = i64::try_from(*commits.borrow_and_update()).unwrap_or(i64::MAX);
                if let Err(error) = bus
                    .publish_hint(BusHint::Appended {
                        topic: TOPIC.to_owned(),
                        seq,
                    })
                    .await
                {
                    // Readers poll anyway.
                    warn!(error = %error, "Could not publish a hint");
                }
            }
            Ok::<(), BoxError>(())
        });
}

/// Reads new events and wakes the consumers the registry names for them.
async fn wake_consumers(
    deployment: Deployment,
    bus: Arc<dyn Bus>,
    nudges: BTreeMap<Consumer, Nudge>,
) -> Result<(), BoxError> {
    let mut hints = bus.subscribe_hints();
    let soft = deployment.lifecycle.soft_token();
    let mut at = deployment
        .store
        .read(async |tx| events::head(tx).await)
        .await?;
    // What was committed between a consumer's first pass and this moment has woken nobody.
    nudges.values().for_each(Nudge::nudge);
    loop {
        match read_on(&deployment, at).await {
            Ok((seq, woken)) => {
                at = seq;
                for nudge in woken.iter().filter_map(|consumer| nudges.get(consumer)) {
                    nudge.nudge();
                }
            }
            Err(error) => warn!(error = %error, "Could not read the outbox"),
        }
        // Cancel-safe: a broadcast receiver, a token and a timer.
        tokio::select! {
            hint = hints.next_hint() => if hint.is_none() { break },
            () = soft.cancelled() => break,
            () = deployment.clock.sleep(deployment.monitoring.poll) => {}
        }
    }
    Ok(())
}

async fn read_on(deployment: &Deployment, mut at: i64) -> Result<(i64, Vec<Consumer>), StoreError> {
    let mut woken = Vec::new();
    deployment
        .store
        .read(async |tx| {
            loop {
                let batch = events::after(tx, at).await?;
                let Some(last) = batch.last() else { break };
                at = last.seq;
                for event in &batch {
                    woken.extend_from_slice(event.event.kind().consumers());
                }
            }
            woken.sort_unstable();
            woken.dedup();
            Ok((at, woken))
        })
        .await
}
