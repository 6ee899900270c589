//! Reconcilers: loops that compare what should be with what is.
//!
//! A [`Reconciler`] takes no input, may run twice without harm, owns no timer and never sleeps; it
//! says when it next has something to do. The [`Driver`] owns the waiting: it ticks at start, on a
//! nudge, at the instant asked for, and at least once per period.

mod entities;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use omoi_domain::time::Timestamp;

use crate::BoxError;
use crate::clock::Clocked;
use crate::lifecycle::{Handle, Kind};
use crate::rng::Rng;
use crate::sync::lock;
use crate::telemetry::chain;

pub use entities::{Entities, EntityFailure, Turn};

const BACKOFF_BASE: Duration = Duration::from_millis(500);
const BACKOFF_CAP: Duration = Duration::from_mins(1);

/// When a reconciler has something to do again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once: it stopped at a limit with work left.
    Now,
    /// At this instant, unless nudged before.
    At(Timestamp),
    /// When nudged or when the period is over.
    Idle,
}

impl Next {
    /// Whichever comes first.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::At(at), Self::Idle) | (Self::Idle, Self::At(at)) => Self::At(at),
            (Self::Idle, Self::Idle) => Self::Idle,
        }
    }
}

/// Brings the world one step closer to what the database says it should be.
pub trait Reconciler: Send {
    /// The name in logs and metrics.
    fn name(&self) -> &'static str;

    /// One pass. Only one runs at a time. Each entity has its turn through `entities`, so that one
    /// that fails keeps no other from its own.
    ///
    /// # Errors
    /// What concerns the whole pass is logged with its chain and retried after a growing pause.
    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>>;
}

/// Asks a driver for a tick soon; many nudges before it count as one.
#[derive(Clone, Debug, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Wakes the driver, now or as soon as its current tick is over.
    pub fn nudge(&self) {
        self.0.notify_one();
    }
}

/// What a driver has done so far, for metrics and status pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The reconciler's name.
    pub name: &'static str,
    /// Passes begun.
    pub ticks: u64,
    /// Passes that failed.
    pub failures: u64,
    /// Passes that failed since the last good one.
    pub failing: u32,
    /// When the last pass began.
    pub started_at: Option<Timestamp>,
    /// When the last finished pass ended; earlier than `started_at` while one runs.
    pub ended_at: Option<Timestamp>,
    /// The last failure with every cause, kept after recovery.
    pub last_error: Option<String>,
    /// Entities that wait after a failure of their own.
    pub entities: Vec<EntityFailure>,
}

/// Reads a driver's [`Status`] from anywhere.
#[derive(Clone, Debug)]
pub struct StatusReader(Arc<Mutex<Status>>);

impl StatusReader {
    /// The status now.
    pub fn read(&self) -> Status {
        lock(&self.0).clone()
    }
}

/// Runs one reconciler.
pub struct Driver {
    reconciler: Box<dyn Reconciler>,
    period: Duration,
    clock: Clocked,
    rng: Rng,
    nudge: Nudge,
    entities: Entities,
    status: Arc<Mutex<Status>>,
}

/// What the driver does after a tick.
enum Wait {
    Not,
    /// Until the time is over or a nudge comes.
    Ready(Duration),
    /// Until the time is over, nudges or not: they come fastest when things fail.
    BackOff(Duration),
}

impl Driver {
    /// A driver that ticks `reconciler` at least every `period`.
    pub fn new(
        reconciler: Box<dyn Reconciler>,
        period: Duration,
        clock: Clocked,
        rng: Rng,
    ) -> Self {
        let status = Status {
            name: reconciler.name(),
            ..Status::default()
        };
        Self {
            reconciler,
            period,
            clock,
            entities: Entities::new(status.name, rng.fork()),
            rng,
            nudge: Nudge::default(),
            status: Arc::new(Mutex::new(status)),
        }
    }

    /// A handle that wakes this driver.
    pub fn nudge(&self) -> Nudge {
        self.nudge.clone()
    }

    /// A handle that reads this driver's status.
    pub fn status(&self) -> StatusReader {
        StatusReader(Arc::clone(&self.status))
    }

    /// Starts the driver as a critical task, so that a panic in a tick ends the process.
    pub fn spawn(self, handle: &Handle) {
        let (name, stop) = (self.reconciler.name(), handle.soft());
        handle.spawn(name, Kind::Critical, async move {
            self.run(stop).await;
            Ok(())
        });
    }

    /// Ticks until `stop`, which lets a running tick finish.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let (pause, nudgeable) = match self.tick().await {
                Wait::Not => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Wait::Ready(pause) => (pause, true),
                Wait::BackOff(pause) => (pause, false),
            };
            let sleep = self.clock.sleep(pause);
            // All three may be dropped: a nudge meant for a dropped `notified` is kept.
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.nudge.0.notified(), if nudgeable => {}
                () = sleep => {}
            }
        }
    }

    async fn tick(&mut self) -> Wait {
        // This pass answers every nudge so far, also those after the one that woke it. A failed
        // pass is repeated anyway.
        let _ = self.nudge.0.notified().now_or_never();
        let now = self.clock.now();
        {
            let mut status = lock(&self.status);
            status.ticks += 1;
            status.started_at = Some(now);
        }
        let result = self.reconciler.tick(now, &mut self.entities).await;
        let result = result.map(|next| self.entities.end_pass(next));
        let now = self.clock.now();
        let mut status = lock(&self.status);
        status.ended_at = Some(now);
        status.entities = self.entities.failures();
        match result {
            Ok(next) => {
                status.failing = 0;
                match next {
                    Next::Now => Wait::Not,
                    Next::At(at) if at <= now => Wait::Not,
                    Next::At(at) => Wait::Ready(at.since(now).min(self.period)),
                    Next::Idle => Wait::Ready(self.period),
                }
            }
            Err(failure) => {
                let text = chain(&*failure);
                status.failures += 1;
                status.failing = status.failing.saturating_add(1);
                status.last_error = Some(text.clone());
                let pause = backoff(status.failing, self.rng.unit());
                let (name, failing) = (status.name, status.failing);
                drop(status);
                warn!(
                    reconciler = name,
                    failing,
                    pause_ms = pause.as_millis(),
                    error = %text,
                    "Reconciler `{name}` failed"
                );
                Wait::BackOff(pause)
            }
        }
    }
}

/// The pause after `failing` failures in a row: doubling up to the cap, of which `unit` in `[0, 1)`
/// picks a point in the upper half, so that many processes do not retry in step.
pub(crate) fn backoff(failing: u32, unit: f64) -> Duration {
    let doublings = failing.saturating_sub(1).min(16);
    let full = BACKOFF_BASE.saturating_mul(1 << doublings).min(BACKOFF_CAP);
    full.mul_f64(0.5 + unit / 2.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::collections::VecDeque;

    use tokio::sync::mpsc;

    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::lifecycle::{Cause, Lifecycle};

    const SECOND: Duration = Duration::from_secs(1);
    const PERIOD: Duration = Duration::from_secs(30);

    type Answer = Result<Next, &'static str>;

    /// Answers as told, idle when nothing is left, and reports every tick.
    struct Scripted {
        answers: VecDeque<Answer>,
        ticked: mpsc::UnboundedSender<Timestamp>,
    }

    impl Reconciler for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn tick<'a>(
            &'a mut self,
            now: Timestamp,
            _entities: &'a mut Entities,
        ) -> BoxFuture<'a, Result<Next, BoxError>> {
            let answer = self.answers.pop_front().unwrap_or(Ok(Next::Idle));
            self.ticked.send(now).unwrap();
            Box::pin(async move {
                match answer {
                    Err("panic") => panic!("tick broke"),
                    other => other.map_err(Into::into),
                }
            })
        }
    }

    struct World {
        clock: ManualClock,
        lifecycle: Lifecycle,
        nudge: Nudge,
        status: StatusReader,
        ticked: mpsc::UnboundedReceiver<Timestamp>,
    }

    fn start(answers: impl IntoIterator<Item = Answer>) -> World {
        let clock = ManualClock::default();
        let (sender, ticked) = mpsc::unbounded_channel();
        let reconciler = Scripted {
            answers: answers.into_iter().collect(),
            ticked: sender,
        };
        let clocked: Clocked = Arc::new(clock.clone());
        let lifecycle = Lifecycle::new(Arc::clone(&clocked));
        let driver = Driver::new(Box::new(reconciler), PERIOD, clocked, Rng::seeded(1));
        let (nudge, status) = (driver.nudge(), driver.status());
        driver.spawn(&lifecycle.handle());
        World {
            clock,
            lifecycle,
            nudge,
            status,
            ticked,
        }
    }

    impl World {
        /// Waits until the driver sleeps, and says for how long and how many ticks it took.
        async fn settle(&mut self) -> (Duration, usize) {
            self.clock.wait_for_sleepers(1).await;
            let mut ticks = 0;
            while self.ticked.try_recv().is_ok() {
                ticks += 1;
            }
            let until = self.clock.next_deadline().unwrap();
            (until.since(self.clock.now()), ticks)
        }

        /// Nudges and waits for the tick it caused.
        async fn nudged_tick(&mut self) {
            self.nudge.nudge();
            self.ticked.recv().await.unwrap();
        }
    }

    #[tokio::test]
    async fn ticks_at_start_when_asked_and_once_per_period() {
        let epoch = ManualClock::default().now();
        let mut world = start([
            Ok(Next::Now),
            Ok(Next::At(epoch)),
            Ok(Next::At(epoch + 5 * SECOND)),
            Ok(Next::At(epoch + 500 * SECOND)),
        ]);
        assert_eq!(
            world.settle().await,
            (5 * SECOND, 3),
            "now and past mean at once"
        );
        world.clock.advance(5 * SECOND);
        assert_eq!(
            world.settle().await,
            (PERIOD, 1),
            "a far instant waits one period"
        );
        world.clock.advance(PERIOD);
        assert_eq!(world.settle().await, (PERIOD, 1));
        let status = world.status.read();
        assert_eq!(
            (status.name, status.ticks, status.failures),
            ("scripted", 5, 0)
        );
        assert_eq!(status.ended_at, Some(world.clock.now()));
    }

    #[tokio::test]
    async fn nudges_coalesce() {
        let mut world = start([]);
        assert_eq!(world.settle().await, (PERIOD, 1));
        for _ in 0..3 {
            world.nudge.nudge();
        }
        world.ticked.recv().await.unwrap();
        assert_eq!(world.settle().await, (PERIOD, 0));
        world.nudged_tick().await;
        assert_eq!(world.settle().await, (PERIOD, 0));
    }

    #[tokio::test]
    async fn failures_back_off_and_hold_nudges_back() {
        let mut world = start([Err("down"), Err("still down")]);
        let (first, ticks) = world.settle().await;
        assert_eq!(ticks, 1);
        assert!((SECOND / 4..=SECOND / 2).contains(&first), "{first:?}");
        let status = world.status.read();
        assert_eq!((status.failures, status.failing), (1, 1));
        assert_eq!(status.last_error.as_deref(), Some("down"));

        world.nudge.nudge();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(
            world.ticked.try_recv().is_err(),
            "a nudge must not break the pause"
        );

        world.clock.advance(first);
        let (second, ticks) = world.settle().await;
        assert_eq!(ticks, 1);
        assert!((SECOND / 2..=SECOND).contains(&second), "{second:?}");
        world.clock.advance(second);
        assert_eq!(
            world.settle().await,
            (PERIOD, 1),
            "the nudge was answered by the tick after it"
        );
        let status = world.status.read();
        assert_eq!((status.failures, status.failing), (2, 0));
        assert_eq!(status.last_error.as_deref(), Some("still down"));
    }

    #[test]
    fn the_pause_doubles_to_a_minute() {
        let seconds = |failing, unit| backoff(failing, unit).as_secs_f64();
        assert!((seconds(1, 0.0) - 0.25).abs() < 1e-9);
        assert!((seconds(4, 0.5) - 3.0).abs() < 1e-9);
        assert!((seconds(u32::MAX, 0.0) - 30.0).abs() < 1e-9);
        assert!(seconds(u32::MAX, 0.999) < 60.0);
    }

    #[tokio::test]
    async fn a_stop_ends_it_and_a_panic_ends_the_process() {
        let mut world = start([]);
        world.settle().await;
        world.lifecycle.handle().stop();
        let exit = world.lifecycle.run(futures::stream::pending()).await;
        assert!(!exit.forced && exit.cause == Cause::Requested);

        let world = start([Err("panic")]);
        let exit = world.lifecycle.run(futures::stream::pending()).await;
        let cause = Cause::Failed {
            name: "scripted".into(),
            error: "tick broke".to_owned(),
        };
        assert_eq!(exit.cause, cause);
    }
}
