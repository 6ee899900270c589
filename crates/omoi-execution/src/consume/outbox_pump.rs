//! Reads the outbox of every organisation, and wakes the loops that the registry names for its events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use omoi_domain::event::Consumer;
use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::bus::{Bus, BusHint};
use omoi_runtime::reconcile::Nudge;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{Store, StoreError, Tenant, Tx, events, organisations};

use super::organisation_news::OrganisationNews;
use super::{ConsumerRuntime, org_of_topic};

/// How often every organisation is looked at, whatever was told of it.
const SWEEP: Duration = Duration::from_mins(10);

/// What the pump tells one loop.
pub(super) struct WokenLoop {
    pub(super) news: OrganisationNews,
    pub(super) nudge: Nudge,
}

/// Follows the outboxes.
pub(super) struct OutboxPump {
    runtime: ConsumerRuntime,
    loops: BTreeMap<Consumer, WokenLoop>,
    /// The number of the last event of each organisation that was read.
    read_to: BTreeMap<OrgId, i64>,
    swept_at: Option<Timestamp>,
}

impl OutboxPump {
    pub(super) fn new(runtime: ConsumerRuntime, loops: BTreeMap<Consumer, WokenLoop>) -> Self {
        Self {
            runtime,
            loops,
            read_to: BTreeMap::new(),
            swept_at: None,
        }
    }

    /// Reads new events and wakes the loops until the process is to stop.
    pub(super) async fn follow_outboxes(mut self, bus: Arc<dyn Bus>) -> Result<(), BoxError> {
        let mut hints = bus.subscribe_hints();
        debug!("Reading the outbox");
        let soft = self.runtime.lifecycle.soft_token();
        let mut hint = BusHint::Resync;
        loop {
            if let Err(error) = self.follow_hint(&hint).await {
                warn!(error = %error_chain(&error), "Could not read the outbox");
            }
            // Cancel-safe: a broadcast receiver, a token and a timer.
            hint = tokio::select! {
                next = hints.next_hint() => match next {
                    Some(next) => next,
                    None => break,
                },
                () = soft.cancelled() => break,
                () = self.runtime.clock.sleep(self.runtime.poll) => BusHint::Resync,
            };
        }
        Ok(())
    }

    async fn follow_hint(&mut self, hint: &BusHint) -> Result<(), StoreError> {
        let (Some(_), BusHint::Appended { topic, seq }) = (self.swept_at, hint) else {
            return self.look_at_all().await;
        };
        match org_of_topic(topic) {
            Some(org) if self.read_to.get(&org).is_none_or(|read| read < seq) => {
                self.read_on(org).await
            }
            // Of something else, or read already.
            _ => Ok(()),
        }
    }

    /// Reads on in each organisation whose outbox grew. One that cannot be read keeps no other from it.
    async fn look_at_all(&mut self) -> Result<(), StoreError> {
        let system = self.store().system();
        let heads = system.read(async |tx: &mut Tx| organisations::event_heads(tx).await);
        let heads: Vec<(OrgId, i64)> = heads.await?;
        let is_first = self.swept_at.is_none();
        for (org, head) in &heads {
            // What was committed before is found by the first look of each loop, which follows.
            let read = self.read_to.entry(*org).or_insert(match is_first {
                true => *head,
                false => 0,
            });
            if *read < *head
                && let Err(error) = self.read_on(*org).await
            {
                let error = error_chain(&error);
                warn!(org.id = %org, error, "Could not read the outbox of an organisation");
            }
        }
        let now = self.runtime.clock.now();
        if self.swept_at.is_none_or(|at| now.since(at) >= SWEEP) {
            self.swept_at = Some(now);
            let all: Vec<OrgId> = heads.into_iter().map(|(org, _)| org).collect();
            for woken in self.loops.values() {
                woken.news.sweep_all(&all);
                woken.nudge.nudge();
            }
        }
        Ok(())
    }

    /// Reads the events of `org` since the last ones, and wakes the loops that they name.
    async fn read_on(&mut self, org: OrgId) -> Result<(), StoreError> {
        let at = self.read_to.get(&org).copied().unwrap_or(0);
        let (seq, woken) = read_events(&self.store().tenant(org), at).await?;
        if seq > at {
            debug!(n_events = seq - at, ?woken, "Read the outbox up to {seq}");
        }
        self.read_to.insert(org, seq);
        for woken in woken.iter().filter_map(|consumer| self.loops.get(consumer)) {
            woken.news.tell_of(org);
            woken.nudge.nudge();
        }
        Ok(())
    }

    const fn store(&self) -> &Store {
        &self.runtime.store
    }
}

async fn read_events(store: &Tenant, mut at: i64) -> Result<(i64, Vec<Consumer>), StoreError> {
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
