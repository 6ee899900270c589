//! Ties reconcilers to the outboxes: an event wakes those that the registry names for it, for its organisation.
//!
//! An event decides nothing: rows do. So no consumer keeps how far it has read, and a pass that finds
//! nothing to do writes nothing.

mod organisation_loop;
mod organisation_news;
mod outbox_pump;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tracing::warn;

use omoi_domain::event::Consumer;
use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::bus::{Bus, BusHint};
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_runtime::reconcile::{Entities, Next, ReconcileDriver, StatusReader};
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{CommittedEvents, Store, Tenant};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use self::organisation_loop::OrganisationLoop;
use self::outbox_pump::{OutboxPump, WokenLoop};
use crate::deployment::{DeploymentParts, FromParts};
use crate::disk_room::DiskRoom;
use crate::lease_renewal::{LeaseRenewal, start_lease_renewal};

/// What the topics of outboxes begin with.
const OUTBOX: &str = "outbox.";

/// The topic of an organisation's outbox on the bus.
pub(crate) fn outbox_topic(org: OrgId) -> String {
    format!("{OUTBOX}{}", org.as_uuid().simple())
}

/// The organisation whose outbox `topic` is of.
fn org_of_topic(topic: &str) -> Option<OrgId> {
    topic.strip_prefix(OUTBOX)?.parse().ok()
}

/// What a consumer would do with slots that other organisations hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotWant {
    /// It has work for none.
    Nothing,
    /// It has, and got none in its last pass.
    GotNone,
    /// It has more, and got some in its last pass.
    GotSome,
}

/// A reconciler that acts on events of its kind, of one organisation.
pub trait EventConsumer: Send {
    /// Which one it is.
    fn consumer(&self) -> Consumer;

    /// What it would do with slots that other organisations hold.
    fn slot_want(&self) -> SlotWant {
        SlotWant::Nothing
    }

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

/// Makes one consumer for each organisation.
pub struct ConsumerFactory {
    consumer: Consumer,
    build: Box<dyn Fn(Tenant) -> Box<dyn EventConsumer> + Send>,
}

impl fmt::Debug for ConsumerFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConsumerFactory")
            .field(&self.consumer)
            .finish()
    }
}

impl ConsumerFactory {
    /// Makes `consumer` by `build` for the rows that it is given.
    pub fn new(
        consumer: Consumer,
        build: impl Fn(Tenant) -> Box<dyn EventConsumer> + Send + 'static,
    ) -> Self {
        Self {
            consumer,
            build: Box::new(build),
        }
    }

    fn build_consumer(&self, store: Tenant) -> Box<dyn EventConsumer> {
        (self.build)(store)
    }
}

/// What the loops of a process run on.
#[derive(Clone)]
pub struct ConsumerRuntime {
    /// The rows it reads and writes, of every organisation.
    pub store: Store,
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
            store: parts.store.store().clone(),
            clock: parts.clock.clone(),
            rng: parts.rng.clone(),
            lifecycle: parts.lifecycle.clone(),
            poll: parts.monitoring.poll,
            disk: DiskRoom::from_parts(parts),
            leases: LeaseRenewal::from_parts(parts),
        }
    }
}

/// Starts a loop for each of `factories`, which serves every organisation, the pump that wakes them and what keeps their
/// attempts; returns their status readers.
pub fn start_consumers(
    runtime: &ConsumerRuntime,
    bus: &Arc<dyn Bus>,
    factories: Vec<ConsumerFactory>,
) -> Vec<StatusReader> {
    let mut loops = BTreeMap::new();
    let mut readers = Vec::new();
    for factory in factories {
        let consumer = factory.consumer;
        let reconciler = OrganisationLoop::new(runtime, factory);
        let news = reconciler.news_board();
        let driver = ReconcileDriver::new(
            Box::new(reconciler),
            runtime.poll,
            runtime.clock.clone(),
            runtime.rng.fork(),
        );
        let nudge = driver.nudge_handle();
        loops.insert(consumer, WokenLoop { news, nudge });
        readers.push(driver.status_reader());
        driver.spawn(&runtime.lifecycle);
    }
    start_lease_renewal(&runtime.leases);
    let pump = OutboxPump::new(runtime.clone(), loops).follow_outboxes(Arc::clone(bus));
    runtime
        .lifecycle
        .spawn("outbox pump", SpawnKind::Critical, pump);
    readers
}

/// Tells other processes of commits made here, so that their pumps wake.
pub fn publish_commits(store: &Store, lifecycle: &LifecycleHandle, bus: &Arc<dyn Bus>) {
    let (mut commits, soft) = (store.committed_events(), lifecycle.soft_token());
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn the_topic_of_an_outbox_names_its_organisation() {
        assert_eq!(
            org_of_topic(&outbox_topic(OrgId::LOCAL)),
            Some(OrgId::LOCAL)
        );
        for other in ["revocations", "outbox.", "outbox.x"] {
            assert_eq!(org_of_topic(other), None, "{other}");
        }
    }

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
