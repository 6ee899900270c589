//! Ties reconcilers to the outbox: a durable cursor, a lease, and a wake-up on events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::bus::{Bus, Hint};
use omoi_runtime::lifecycle::Kind;
use omoi_runtime::reconcile::{Driver, Next, Nudge, Reconciler, StatusReader};
use omoi_store::{StoreError, cursors, events, leases};
use tracing::warn;

use crate::keeper;
use crate::platform::Platform;

/// How long a reconciler's lease outlives its holder.
const LEASE: Duration = Duration::from_secs(15);
/// A held lease is renewed when it is this old.
const RENEW: Duration = Duration::from_secs(5);
/// The topic of the outbox on the bus.
const TOPIC: &str = "outbox";

/// A reconciler that acts on events of its kind.
pub trait Consume: Send {
    /// Which one it is.
    fn consumer(&self) -> Consumer;

    /// One pass over the rows. May run twice without harm.
    ///
    /// # Errors
    /// Any error is logged with its chain and retried after a growing pause.
    fn tick(&mut self, now: Timestamp) -> BoxFuture<'_, Result<Next, BoxError>>;
}

/// A consumer with its cursor and lease, as the driver sees it.
struct Consumed {
    platform: Platform,
    inner: Box<dyn Consume>,
    leased_at: Option<Timestamp>,
    /// Cursor position last seen.
    seen: i64,
}

impl Consumed {
    /// Whether this process may act: takes the lease or renews it when it grows old.
    async fn leased(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        if self.leased_at.is_some_and(|at| now.since(at) < RENEW) {
            return Ok(true);
        }
        let name = format!("loop:{}", self.inner.consumer().as_str());
        let mut tx = self.platform.store.write().await?;
        let lease = leases::acquire(&mut tx, &name, &self.platform.owner, LEASE).await?;
        tx.commit(CrashPoint::LeaseMoved).await?;
        self.leased_at = lease.as_ref().map(|_| now);
        Ok(lease.is_some())
    }

    /// The newest event, and whether one of ours stands after the cursor.
    async fn news(&mut self) -> Result<(i64, bool), StoreError> {
        let consumer = self.inner.consumer();
        let mut tx = self.platform.store.read().await?;
        let head = events::head(&mut tx).await?;
        if head <= self.seen {
            return Ok((head, false));
        }
        let mut from = cursors::get(&mut tx, consumer).await?.max(self.seen);
        let mut ours = false;
        while from < head && !ours {
            let batch = events::after(&mut tx, from).await?;
            let Some(last) = batch.last() else { break };
            from = last.seq;
            ours = batch
                .iter()
                .any(|e| e.event.kind().consumers().contains(&consumer));
        }
        Ok((head, ours))
    }

    async fn pass(&mut self, now: Timestamp) -> Result<Next, BoxError> {
        if !self.leased(now).await? {
            return Ok(Next::At(now + RENEW));
        }
        let (head, ours) = self.news().await?;
        let next = self.inner.tick(now).await?;
        if ours {
            let mut tx = self.platform.store.write().await?;
            cursors::advance(&mut tx, self.inner.consumer(), head).await?;
            tx.commit(CrashPoint::CursorMoved).await?;
        }
        self.seen = head;
        Ok(next)
    }
}

impl Reconciler for Consumed {
    fn name(&self) -> &'static str {
        self.inner.consumer().as_str()
    }

    fn tick(&mut self, now: Timestamp) -> BoxFuture<'_, Result<Next, BoxError>> {
        Box::pin(self.pass(now))
    }
}

/// Starts `consumers`, the pump that wakes them and what keeps their attempts; returns their status
/// readers.
pub fn start(
    platform: &Platform,
    bus: &Arc<dyn Bus>,
    consumers: Vec<Box<dyn Consume>>,
) -> Vec<StatusReader> {
    let mut nudges = BTreeMap::new();
    let mut readers = Vec::new();
    for inner in consumers {
        let consumer = inner.consumer();
        let consumed = Consumed {
            platform: platform.clone(),
            inner,
            leased_at: None,
            seen: 0,
        };
        let driver = Driver::new(
            Box::new(consumed),
            platform.settings.poll,
            platform.clock.clone(),
            platform.rng.fork(),
        );
        nudges.insert(consumer, driver.nudge());
        readers.push(driver.status());
        driver.spawn(&platform.lifecycle);
    }
    keeper::start(platform);
    let pump = pump(platform.clone(), Arc::clone(bus), nudges);
    platform
        .lifecycle
        .spawn("outbox pump", Kind::Critical, pump);
    readers
}

/// Tells other processes of commits made here, so that their pumps wake.
pub fn publish_commits(platform: &Platform, bus: &Arc<dyn Bus>) {
    let (platform_, bus) = (platform.clone(), Arc::clone(bus));
    platform
        .lifecycle
        .spawn("outbox publisher", Kind::Critical, async move {
            let mut commits = platform_.store.store().commits();
            let soft = platform_.lifecycle.soft();
            loop {
                // Both futures are cancel-safe: a watch and a token.
                tokio::select! {
                    changed = commits.changed() => if changed.is_err() { break },
                    () = soft.cancelled() => break,
                }
                let seq = i64::try_from(*commits.borrow_and_update()).unwrap_or(i64::MAX);
                if let Err(error) = bus
                    .publish(Hint::Appended {
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
async fn pump(
    platform: Platform,
    bus: Arc<dyn Bus>,
    nudges: BTreeMap<Consumer, Nudge>,
) -> Result<(), BoxError> {
    let mut hints = bus.subscribe();
    let soft = platform.lifecycle.soft();
    let mut at = {
        let mut tx = platform.store.read().await?;
        events::head(&mut tx).await?
    };
    // What was committed between a consumer's first pass and this moment has woken nobody.
    nudges.values().for_each(Nudge::nudge);
    loop {
        match read_on(&platform, at).await {
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
            hint = hints.recv() => if hint.is_none() { break },
            () = soft.cancelled() => break,
            () = platform.clock.sleep(platform.settings.poll) => {}
        }
    }
    Ok(())
}

async fn read_on(platform: &Platform, mut at: i64) -> Result<(i64, Vec<Consumer>), StoreError> {
    let mut woken = Vec::new();
    let mut tx = platform.store.read().await?;
    loop {
        let batch = events::after(&mut tx, at).await?;
        let Some(last) = batch.last() else { break };
        at = last.seq;
        for event in &batch {
            woken.extend_from_slice(event.event.kind().consumers());
        }
    }
    woken.sort_unstable();
    woken.dedup();
    Ok((at, woken))
}
