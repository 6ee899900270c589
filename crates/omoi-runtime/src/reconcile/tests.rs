#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::*;
use crate::clock::{Clock as _, ManualClock};
use crate::lifecycle::{Lifecycle, StopCause};

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
    let driver = ReconcileDriver::new(Box::new(reconciler), PERIOD, clocked, Rng::seeded(1));
    let (nudge, status) = (driver.nudge_handle(), driver.status_reader());
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
    let seconds = |failing, unit| backoff_pause(failing, unit).as_secs_f64();
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
    let exit = world
        .lifecycle
        .run_with_signals(futures::stream::pending())
        .await;
    assert!(!exit.forced && exit.cause == StopCause::Requested);

    let world = start([Err("panic")]);
    let exit = world
        .lifecycle
        .run_with_signals(futures::stream::pending())
        .await;
    let cause = StopCause::Failed {
        name: "scripted".into(),
        error: "tick broke".to_owned(),
    };
    assert_eq!(exit.cause, cause);
}
