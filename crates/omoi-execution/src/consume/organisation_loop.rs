//! One loop for all organisations: each has its pass in turn, and one that fails waits by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use tracing::{Instrument as _, info_span};

use omoi_domain::event::Consumer;
use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, EntityFailure, EntityTurn, Next, Reconciler};
use omoi_runtime::rng::Rng;
use omoi_store::Store;

use super::organisation_news::{NewsState, OrganisationNews};
use super::{ConsumerFactory, ConsumerRuntime, EventConsumer, SlotWant};
use crate::disk_room::{DiskRoom, LOOK};

/// Organisations of one pass; the others have theirs in the next, which follows at once.
const SERVED_MAX: usize = 16;
/// How long an organisation of which nothing is heard is looked at in every period.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// A consumer for each organisation with something to do.
pub(super) struct OrganisationLoop {
    factory: ConsumerFactory,
    store: Store,
    disk: DiskRoom,
    period: Duration,
    rng: Rng,
    news: OrganisationNews,
    n_organisations: usize,
    served: BTreeMap<OrgId, ServedOrganisation>,
    /// Who had the first turn of the last pass: the next pass begins after them.
    first: Option<OrgId>,
    /// Who last got a slot that others waited for.
    fed: Option<OrgId>,
}

/// An organisation with its own consumer.
struct ServedOrganisation {
    consumer: Box<dyn EventConsumer>,
    entities: Entities,
    /// When it has its next pass.
    due_at: Timestamp,
    /// When something was told of it last, if ever.
    told_at: Option<Timestamp>,
    /// Whether that was since its last pass.
    is_told: bool,
    /// Whether its last pass left nothing to do.
    is_idle: bool,
}

impl OrganisationLoop {
    pub(super) fn new(runtime: &ConsumerRuntime, factory: ConsumerFactory) -> Self {
        Self {
            factory,
            store: runtime.store.clone(),
            disk: runtime.disk.clone(),
            period: runtime.poll,
            rng: runtime.rng.fork(),
            news: OrganisationNews::default(),
            n_organisations: 0,
            served: BTreeMap::new(),
            first: None,
            fed: None,
        }
    }

    pub(super) fn news_board(&self) -> OrganisationNews {
        self.news.clone()
    }

    /// Whether there is one organisation alone: nobody waits for it, and lines of the log need not name it.
    const fn is_single(&self) -> bool {
        self.n_organisations <= 1
    }

    async fn run_pass(&mut self, now: Timestamp, outer: &mut Entities) -> Result<Next, BoxError> {
        self.take_news(now);
        self.serve_waiting(now, outer).await?;
        let due = self.due_in_turn(now);
        for org in due.iter().take(SERVED_MAX) {
            self.serve(*org, now, outer).await?;
        }
        for org in self.served.keys() {
            outer.keep_open(&label_of(*org));
        }
        self.forget_idle(now);
        if due.len() > SERVED_MAX {
            return Ok(Next::Now);
        }
        let first = self.served.values().map(|served| served.due_at).min();
        Ok(first.map_or(Next::Idle, Next::At))
    }

    fn take_news(&mut self, now: Timestamp) {
        let NewsState {
            told,
            swept,
            n_organisations,
        } = self.news.take_news();
        self.n_organisations = n_organisations;
        let name = self.factory.consumer.as_str();
        for org in swept.union(&told) {
            let is_told = told.contains(org);
            let served = self
                .served
                .entry(*org)
                .or_insert_with(|| ServedOrganisation {
                    consumer: self.factory.build_consumer(self.store.tenant(*org)),
                    entities: Entities::new(name, self.rng.fork()),
                    due_at: now,
                    told_at: None,
                    is_told: false,
                    is_idle: false,
                });
            served.due_at = now;
            if is_told {
                served.told_at = Some(now);
                served.is_told = true;
            }
        }
    }

    /// Gives those their turn who wait for slots of the deployment, whoever waits longest first, while there are any.
    async fn serve_waiting(
        &mut self,
        now: Timestamp,
        outer: &mut Entities,
    ) -> Result<(), BoxError> {
        let wants = |org: &OrgId| self.want_of(*org) != SlotWant::Nothing;
        let all = self.served.keys().copied().filter(wants);
        let mut waiting = in_turn_after(all.collect(), self.fed);
        while !waiting.is_empty() {
            let org = waiting.remove(0);
            self.serve(org, now, outer).await?;
            if self.want_of(org) != SlotWant::Nothing {
                break;
            }
            self.fed = Some(org);
        }
        // Without a slot a pass does nothing: they wait for news of whoever gives one back.
        for org in waiting {
            if let Some(served) = self.served.get_mut(&org) {
                served.due_at = now + self.period;
            }
        }
        Ok(())
    }

    fn want_of(&self, org: OrgId) -> SlotWant {
        let served = self.served.get(&org);
        served.map_or(SlotWant::Nothing, |served| served.consumer.slot_want())
    }

    /// Who has a pass now: first those of whom something was told. Each pass begins with another one.
    fn due_in_turn(&mut self, now: Timestamp) -> Vec<OrgId> {
        let due = self
            .served
            .iter()
            .filter(|(_, served)| served.due_at <= now);
        let (told, others): (Vec<_>, Vec<_>) = due.partition(|(_, served)| served.is_told);
        let ids = |of: Vec<(&OrgId, _)>| of.into_iter().map(|(org, _)| *org).collect();
        let mut due = in_turn_after(ids(told), self.first);
        due.extend(in_turn_after(ids(others), self.first));
        self.first = due.first().copied().or(self.first);
        due
    }

    /// One pass for `org`.
    ///
    /// # Errors
    /// Those of the only organisation are the loop's. Among several, one that fails is an entity of the loop: it waits,
    /// and the others go on.
    async fn serve(
        &mut self,
        org: OrgId,
        now: Timestamp,
        outer: &mut Entities,
    ) -> Result<(), BoxError> {
        let (is_single, period) = (self.is_single(), self.period);
        let Some(served) = self.served.get_mut(&org) else {
            return Ok(());
        };
        served.is_told = false;
        let tick = served.consumer.tick(now, &mut served.entities);
        let next = if is_single {
            tick.await?
        } else {
            let tick = tick.instrument(info_span!("organisation", org.id = %org));
            match outer.give_turn(now, label_of(org), tick).await {
                EntityTurn::Done(next) => next,
                EntityTurn::Waits | EntityTurn::Failed(_) => {
                    let retry_at = outer.retry_at(&label_of(org));
                    served.due_at = retry_at.unwrap_or(now + period);
                    served.is_idle = false;
                    return Ok(());
                }
            }
        };
        let next = served.entities.end_pass(now, next);
        served.is_idle = next == Next::Idle;
        served.due_at = match next {
            Next::Now => now,
            Next::At(at) => at.min(now + period),
            Next::Idle => now + period,
        };
        if served.consumer.slot_want() == SlotWant::GotSome {
            self.fed = Some(org);
        }
        Ok(())
    }

    /// Forgets those who have nothing to do and of whom nothing was heard for long; news bring them back.
    fn forget_idle(&mut self, now: Timestamp) {
        if self.is_single() {
            return;
        }
        self.served.retain(|_, served| {
            let is_quiet = served.told_at.is_none_or(|at| now.since(at) >= KEPT_FOR);
            let is_waiting = served.consumer.slot_want() != SlotWant::Nothing;
            !(served.is_idle && is_quiet) || served.due_at <= now || is_waiting
        });
    }
}

/// An organisation among the entities of a loop.
fn label_of(org: OrgId) -> String {
    format!("organisation {org}")
}

/// The same in their order, beginning after `last`.
fn in_turn_after(mut orgs: Vec<OrgId>, last: Option<OrgId>) -> Vec<OrgId> {
    if let Some(last) = last {
        let n_before = orgs.partition_point(|org| *org <= last);
        orgs.rotate_left(n_before);
    }
    orgs
}

impl Reconciler for OrganisationLoop {
    fn name(&self) -> &'static str {
        self.factory.consumer.as_str()
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(async move {
            // The reaper begins nothing: it clears away.
            let is_bound = self.factory.consumer != Consumer::Reaper;
            if is_bound && self.disk.lasting_shortage().await.is_some() {
                return Ok(Next::At(now + LOOK));
            }
            self.run_pass(now, entities).await
        })
    }

    fn own_failures(&self) -> Vec<EntityFailure> {
        let is_single = self.is_single();
        let served = self.served.iter();
        let failures = served.flat_map(|(org, served)| {
            let failures = served.entities.failures().into_iter();
            failures.map(move |failure| EntityFailure {
                entity: match is_single {
                    true => failure.entity,
                    false => format!("{} of {}", failure.entity, label_of(*org)),
                },
                ..failure
            })
        });
        failures.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn each_turn_begins_after_the_last_one() {
        let org = |n: u32| -> OrgId {
            let id = format!("01930000-0000-7000-8000-{n:012x}");
            id.parse().unwrap()
        };
        let all = || vec![org(1), org(3), org(5)];
        for (last, expected) in [
            (None, [1, 3, 5]),
            (Some(1), [3, 5, 1]),
            (Some(2), [3, 5, 1]),
            (Some(4), [5, 1, 3]),
            (Some(5), [1, 3, 5]),
        ] {
            assert_eq!(
                in_turn_after(all(), last.map(org)),
                expected.map(org),
                "{last:?}"
            );
        }
    }
}
