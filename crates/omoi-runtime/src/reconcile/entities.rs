//! Entities of one loop that failed: each waits by itself and keeps no other from its turn.

use std::collections::BTreeMap;

use tracing::{Instrument as _, info, info_span, trace, warn};

use omoi_domain::time::Timestamp;

use super::{Next, backoff_pause};
use crate::BoxError;
use crate::rng::Rng;
use crate::telemetry::error_chain;

/// An entity whose last turn failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityFailure {
    /// Label of the entity, as its loop names it.
    pub entity: String,
    /// Turns that failed in a row.
    pub failing: u32,
    /// When it has its next turn.
    pub retry_at: Timestamp,
    /// The last failure with every cause.
    pub error: String,
}

/// Outcome of an entity's turn.
#[derive(Debug)]
pub enum EntityTurn<T> {
    /// The step succeeded, with its value.
    Done(T),
    /// Its pause is not over.
    Waits,
    /// It failed; the failure was logged, and the entity waits now.
    Failed(BoxError),
}

impl<T> EntityTurn<T> {
    /// What a good turn brought.
    pub fn done_value(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Waits | Self::Failed(_) => None,
        }
    }
}

/// The failing entities of one loop, over all its passes. A loop gives every open entity a turn in
/// each pass; one that had none is over and forgotten.
#[derive(Debug)]
pub struct Entities {
    loop_name: &'static str,
    rng: Rng,
    failed: BTreeMap<String, TrackedEntity>,
}

#[derive(Debug)]
struct TrackedEntity {
    failure: EntityFailure,
    /// Whether it was named in the pass under way.
    is_open: bool,
}

impl Entities {
    /// No entity of `loop_name` has failed yet.
    pub fn new(loop_name: &'static str, rng: Rng) -> Self {
        Self {
            loop_name,
            rng,
            failed: BTreeMap::new(),
        }
    }

    /// Gives `entity` its turn, unless its pause lasts.
    pub async fn give_turn<T>(
        &mut self,
        now: Timestamp,
        entity: String,
        step: impl Future<Output = Result<T, BoxError>>,
    ) -> EntityTurn<T> {
        let turn = self.begin_turn(now, entity.clone(), step).await;
        if matches!(turn, EntityTurn::Done(_))
            && let Some(tracked) = self.failed.remove(&entity)
        {
            let failed = tracked.failure.failing;
            info!(entity, failed, "`{}` goes on with {entity}", self.loop_name);
        }
        turn
    }

    /// Gives `entity` the first step of a turn, which a call of [`give_turn`](Self::give_turn) ends. What
    /// failed before is over only with the last step: its pause grows when a later one fails again.
    pub async fn begin_turn<T>(
        &mut self,
        now: Timestamp,
        entity: String,
        step: impl Future<Output = Result<T, BoxError>>,
    ) -> EntityTurn<T> {
        if let Some(tracked) = self.failed.get_mut(&entity) {
            tracked.is_open = true;
            if tracked.failure.retry_at > now {
                let pause_ms = tracked.failure.retry_at.since(now).as_millis() as u64;
                trace!(entity, pause_ms, "{entity} waits after a failure");
                return EntityTurn::Waits;
            }
        }
        let span = info_span!("turn", entity);
        match step.instrument(span.clone()).await {
            Ok(value) => EntityTurn::Done(value),
            Err(error) => {
                let _turn = span.enter();
                self.note_failure(now, entity, error_chain(error.as_ref()));
                EntityTurn::Failed(error)
            }
        }
    }

    /// Notes that `entity` is open, although it has no turn in this pass: its pause goes on.
    pub fn keep_open(&mut self, entity: &str) {
        if let Some(tracked) = self.failed.get_mut(entity) {
            tracked.is_open = true;
        }
    }

    fn note_failure(&mut self, now: Timestamp, entity: String, error: String) {
        let before = self.failed.get(&entity).map_or(0, |t| t.failure.failing);
        let failing = before.saturating_add(1);
        let pause = backoff_pause(failing, self.rng.unit_fraction());
        let loop_name = self.loop_name;
        warn!(
            failing,
            pause_ms = pause.as_millis() as u64,
            error,
            "`{loop_name}` could not go on with {entity}"
        );
        let failure = EntityFailure {
            entity: entity.clone(),
            failing,
            retry_at: now + pause,
            error,
        };
        let is_open = true;
        self.failed
            .insert(entity, TrackedEntity { failure, is_open });
    }

    /// Ends a whole pass that was begun at `began`: forgets what was not named in it, and says when the first
    /// of those that waited then has its turn, if that is before `next`. One whose pause was over had its
    /// turn or gave it up.
    pub fn end_pass(&mut self, began: Timestamp, next: Next) -> Next {
        self.failed.retain(|_, tracked| tracked.is_open);
        for tracked in self.failed.values_mut() {
            tracked.is_open = false;
        }
        let turns = self.failed.values().map(|t| t.failure.retry_at);
        let first = turns.filter(|at| *at > began).min();
        first.map_or(next, |at| next.sooner(Next::At(at)))
    }

    /// When `entity` has its next turn, if it waits after a failure.
    pub fn retry_at(&self, entity: &str) -> Option<Timestamp> {
        let tracked = self.failed.get(entity)?;
        Some(tracked.failure.retry_at)
    }

    /// Every entity that waits after a failure.
    pub fn failures(&self) -> Vec<EntityFailure> {
        self.failed.values().map(|t| t.failure.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);

    async fn fails(entities: &mut Entities, now: Timestamp, entity: &str) -> bool {
        let step = async { Err::<(), _>(BoxError::from("broken")) };
        matches!(
            entities.give_turn(now, entity.to_owned(), step).await,
            EntityTurn::Failed(_)
        )
    }

    async fn works(entities: &mut Entities, now: Timestamp, entity: &str) -> bool {
        let turn = entities.give_turn(now, entity.to_owned(), async { Ok(()) });
        turn.await.done_value().is_some()
    }

    #[tokio::test]
    async fn one_that_fails_waits_by_itself() {
        let mut entities = Entities::new("planner", Rng::seeded(1));
        assert!(fails(&mut entities, START, "one").await);
        assert!(works(&mut entities, START, "two").await);
        let Next::At(first) = entities.end_pass(START, Next::Idle) else {
            panic!("nothing wakes the loop for it");
        };
        assert!(first > START && first <= START + Duration::from_millis(500));
        // Before its pause is over it has no turn; the other has.
        assert!(!works(&mut entities, START, "one").await);
        assert!(works(&mut entities, START, "two").await);
        assert_eq!(entities.end_pass(START, Next::Now), Next::Now);
        // The pause grows while it fails, and ends with the first good turn.
        assert!(fails(&mut entities, first, "one").await);
        let failure = entities.failures().remove(0);
        assert_eq!((failure.failing, failure.error.as_str()), (2, "broken"));
        assert!(failure.retry_at.since(first) >= Duration::from_millis(500));
        assert!(works(&mut entities, failure.retry_at, "one").await);
        assert_eq!(entities.failures(), []);
        assert_eq!(entities.end_pass(failure.retry_at, Next::Idle), Next::Idle);
    }

    #[tokio::test]
    async fn a_good_first_step_does_not_end_a_failure() {
        let mut entities = Entities::new("dispatcher", Rng::seeded(1));
        assert!(fails(&mut entities, START, "one").await);
        let later = entities.failures()[0].retry_at;
        let first = entities.begin_turn(later, "one".to_owned(), async { Ok(()) });
        assert!(first.await.done_value().is_some());
        assert!(fails(&mut entities, later, "one").await);
        assert_eq!(entities.failures()[0].failing, 2);
        let latest = entities.failures()[0].retry_at;
        assert!(works(&mut entities, latest, "one").await);
        assert_eq!(entities.failures(), []);
    }

    #[tokio::test]
    async fn what_has_no_turn_but_is_open_waits_on() {
        let mut entities = Entities::new("dispatcher", Rng::seeded(1));
        assert!(fails(&mut entities, START, "one").await);
        entities.end_pass(START, Next::Idle);
        let pause_ends = entities.failures()[0].retry_at;
        entities.keep_open("one");
        entities.keep_open("another");
        let next = entities.end_pass(START, Next::Idle);
        assert_eq!(next, Next::At(pause_ends));
        // Once its pause is over, nothing but news wakes the loop for it.
        entities.keep_open("one");
        assert_eq!(entities.end_pass(pause_ends, Next::Idle), Next::Idle);
        assert_eq!(entities.failures().len(), 1);
    }

    #[tokio::test]
    async fn what_is_no_longer_open_is_forgotten() {
        let mut entities = Entities::new("planner", Rng::seeded(1));
        assert!(fails(&mut entities, START, "one").await);
        entities.end_pass(START, Next::Idle);
        assert_eq!(entities.end_pass(START, Next::Idle), Next::Idle);
        assert_eq!(entities.failures(), []);
    }
}
