//! Ties reconcilers to the outbox: an event wakes those that the registry names for it.
//!
//! An event decides nothing: rows do. So no consumer keeps how far it has read, and a pass that finds
//! nothing to do writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tracing::{debug, warn};

use omoi_domain::event::Consumer;
use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::bus::{Bus, BusHint};
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_runtime::reconcile::{Entities, Next, Nudge, ReconcileDriver, Reconciler, StatusReader};
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{CommittedEvents, StoreError, Tenant, events};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::deployment::{DeploymentParts, FromParts};
use crate::disk_room::{DiskRoom, LOOK};
use crate::lease_renewal::{LeaseRenewal, start_lease_renewal};

/// The topic of an organisation's outbox on the bus.
pub(crate) fn outbox_topic(org: OrgId) -> String {
    format!("outbox.{}", org.as_uuid().simple())
}

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

/// What the loops of a process run on.
#[derive(Clone)]
pub struct ConsumerRuntime {
    /// The rows it reads and writes.
    pub store: Tenant,
    /// The clock of this process.
    pub clock: Clocked,
    /// Spreads the pauses after failures.
    pub rng: Rng,
    /// Starts the loops of this process.
    pub lifecycle: LifecycleHandle,
    /// Longest wait of a loop that nobody wakes.
    pub poll: Duration,
    /// Whether the disk has room for work.
    pub disk: DiskRoom,
    /// Keeps what they work on.
    pub leases: LeaseRenewal,
}

impl FromParts for ConsumerRuntime {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            clock: parts.clock.clone(),
            rng: parts.rng.clone(),
            lifecycle: parts.lifecycle.clone(),
            poll: parts.monitoring.poll,
            disk: DiskRoom::from_parts(parts),
            leases: LeaseRenewal::from_parts(parts),
        }
    }
}

/// A consumer as the driver sees it.
struct ConsumerReconciler {
    inner: Box<dyn EventConsumer>,
    disk: DiskRoom,
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
        if self.inner.consumer() == Consumer::Reaper {
            return self.inner.tick(now, entities);
        }
        Box::pin(async move {
            match self.disk.lasting_shortage().await {
                Some(_) => Ok(Next::At(now + LOOK)),
                None => self.inner.tick(now, entities).await,
            }
        })
    }
}

/// Starts `consumers`, the pump that wakes them and what keeps their attempts; returns their status
/// readers.
pub fn start_consumers(
    runtime: &ConsumerRuntime,
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
                disk: runtime.disk.clone(),
            }),
            runtime.poll,
            runtime.clock.clone(),
            runtime.rng.fork(),
        );
        nudges.insert(consumer, driver.nudge_handle());
        readers.push(driver.status_reader());
        driver.spawn(&runtime.lifecycle);
    }
    start_lease_renewal(&runtime.leases);
    let pump = wake_consumers(runtime.clone(), Arc::clone(bus), nudges);
    runtime
        .lifecycle
        .spawn("outbox pump", SpawnKind::Critical, pump);
    readers
}

/// Tells other processes of commits made here, so that their pumps wake.
pub fn publish_commits(store: &Tenant, lifecycle: &LifecycleHandle, bus: &Arc<dyn Bus>) {
    let (mut commits, soft) = (store.store().committed_events(), lifecycle.soft_token());
    let bus = Arc::clone(bus);
    lifecycle.spawn("outbox publisher", SpawnKind::Critical, async move {
        loop {
            // Both futures are cancel-safe: a broadcast receiver and a token.
            let first = tokio::select! {
                first = commits.recv() => first,
                () = soft.cancelled() => break,
            };
            let hints = match first {
                Ok(first) => commit_hints(first, &mut commits),
                Err(RecvError::Lagged(_)) => vec![BusHint::Resync],
                Err(RecvError::Closed) => break,
            };
            for hint in hints {
                if let Err(error) = bus.publish_hint(hint).await {
                    // Readers poll anyway.
                    warn!(error = %error_chain(&error), "Could not publish a hint");
                }
            }
        }
        Ok::<(), BoxError>(())
    });
}

/// One hint for each organisation of `first` and of what was committed since; where some of that was missed, one for
/// everybody.
fn commit_hints(
    first: CommittedEvents,
    commits: &mut broadcast::Receiver<CommittedEvents>,
) -> Vec<BusHint> {
    let mut newest = BTreeMap::from([(first.org, first.seq)]);
    loop {
        match commits.try_recv() {
            Ok(next) => {
                newest.insert(next.org, next.seq);
            }
            Err(TryRecvError::Lagged(_)) => return vec![BusHint::Resync],
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    let hints = newest.into_iter().map(|(org, seq)| BusHint::Appended {
        topic: outbox_topic(org),
        seq,
    });
    hints.collect()
}

/// Reads new events and wakes the consumers the registry names for them.
async fn wake_consumers(
    runtime: ConsumerRuntime,
    bus: Arc<dyn Bus>,
    nudges: BTreeMap<Consumer, Nudge>,
) -> Result<(), BoxError> {
    let mut hints = bus.subscribe_hints();
    debug!("Reading the outbox");
    let soft = runtime.lifecycle.soft_token();
    let mut at = runtime
        .store
        .read(async |tx| events::head(tx).await)
        .await?;
    // What was committed between a consumer's first pass and this moment has woken nobody.
    nudges.values().for_each(Nudge::nudge);
    loop {
        match read_on(&runtime.store, at).await {
            Ok((seq, woken)) => {
                if seq > at {
                    debug!(n_events = seq - at, ?woken, "Read the outbox up to {seq}");
                }
                at = seq;
                for nudge in woken.iter().filter_map(|consumer| nudges.get(consumer)) {
                    nudge.nudge();
                }
            }
            Err(error) => warn!(error = %error_chain(&error), "Could not read the outbox"),
        }
        // Cancel-safe: a broadcast receiver, a token and a timer.
        tokio::select! {
            hint = hints.next_hint() => if hint.is_none() { break },
            () = soft.cancelled() => break,
            () = runtime.clock.sleep(runtime.poll) => {}
        }
    }
    Ok(())
}

async fn read_on(store: &Tenant, mut at: i64) -> Result<(i64, Vec<Consumer>), StoreError> {
    let mut woken = Vec::new();
    store
        .read(async |tx| {
            loop {
                let batch = events::after(tx, at).await?;
                let Some(last) = batch.last() else { break };
                at = last.seq;
                for event in &batch {
                    let (seq, kind) = (event.seq, event.event.kind().as_str());
                    let spec = event.spec_id.map(tracing::field::display);
                    debug!(seq, kind, spec.id = spec, "Event {seq}: {kind}");
                    woken.extend_from_slice(event.event.kind().consumers());
                }
            }
            woken.sort_unstable();
            woken.dedup();
            Ok((at, woken))
        })
        .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn each_organisation_has_a_hint_and_what_was_missed_one_for_all() {
        let other: OrgId = "01930000-0000-7000-8000-0000000000ff".parse().unwrap();
        let (told, mut commits) = broadcast::channel(2);
        let committed = |org, seq| CommittedEvents { org, seq };
        told.send(committed(other, 5)).unwrap();
        told.send(committed(OrgId::LOCAL, 8)).unwrap();
        let mut hints = commit_hints(committed(OrgId::LOCAL, 7), &mut commits);
        hints.sort_by_key(|hint| format!("{hint:?}"));
        let mut expected = [(OrgId::LOCAL, 8), (other, 5)].map(|(org, seq)| BusHint::Appended {
            topic: outbox_topic(org),
            seq,
        });
        expected.sort_by_key(|hint| format!("{hint:?}"));
        assert_eq!(hints, expected);
        for seq in 9..12 {
            told.send(committed(OrgId::LOCAL, seq)).unwrap();
        }
        let hints = commit_hints(committed(OrgId::LOCAL, 8), &mut commits);
        assert_eq!(hints, [BusHint::Resync]);
    }
}
