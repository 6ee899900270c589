#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::*;
use crate::clock::{Clock as _, ManualClock};

/// A lifecycle on a manual clock, with signals sent by hand.
struct World {
    clock: ManualClock,
    handle: LifecycleHandle,
    signals: mpsc::UnboundedSender<&'static str>,
    exit: std::pin::Pin<Box<dyn Future<Output = LifecycleExit> + Send>>,
}

fn world() -> World {
    let clock = ManualClock::default();
    let lifecycle = Lifecycle::new(Arc::new(clock.clone()));
    let (signals, mut received) = mpsc::unbounded_channel();
    World {
        clock,
        handle: lifecycle.handle(),
        signals,
        exit: Box::pin(
            lifecycle.run_with_signals(stream::poll_fn(move |cx| received.poll_recv(cx))),
        ),
    }
}

/// Ends at a soft stop, then says so.
fn polite(handle: &LifecycleHandle) -> (SpawnedTask, Arc<AtomicBool>) {
    let (finished, soft) = (Arc::new(AtomicBool::new(false)), handle.soft_token());
    let flag = Arc::clone(&finished);
    let task = handle.spawn("polite", SpawnKind::Critical, async move {
        soft.cancelled().await;
        tokio::task::yield_now().await;
        flag.store(true, Ordering::SeqCst);
        Ok(())
    });
    (task, finished)
}

fn stubborn(handle: &LifecycleHandle) -> SpawnedTask {
    handle.spawn("stubborn", SpawnKind::Work, std::future::pending())
}

#[tokio::test]
async fn the_first_signal_lets_tasks_finish() {
    let world = world();
    let (task, finished) = polite(&world.handle);
    assert_eq!(world.handle.running_names(), ["polite"]);
    world.signals.send("SIGTERM").unwrap();
    let exit = world.exit.await;
    assert_eq!(exit.cause, StopCause::Signal("SIGTERM"));
    assert!(!exit.forced && exit.left.is_empty());
    assert!(finished.load(Ordering::SeqCst));
    assert_eq!(task.wait_outcome().await, SpawnOutcome::Done);
}

#[tokio::test]
async fn a_second_signal_drops_what_is_left() {
    let world = world();
    let (_, finished) = polite(&world.handle);
    let task = stubborn(&world.handle);
    world.signals.send("SIGINT").unwrap();
    world.signals.send("SIGINT").unwrap();
    let exit = world.exit.await;
    assert_eq!(exit.cause, StopCause::Signal("SIGINT"));
    assert!(exit.forced && exit.left.is_empty());
    assert_eq!(task.wait_outcome().await, SpawnOutcome::Cancelled);
    let _ = finished;
}

#[tokio::test]
async fn the_grace_time_turns_soft_into_hard() {
    let world = world();
    let task = stubborn(&world.handle);
    world.handle.stop();
    let clock = world.clock.clone();
    let (exit, ()) = tokio::join!(world.exit, async {
        clock.wait_for_sleepers(1).await;
        assert_eq!(clock.next_deadline(), Some(clock.now() + GRACE));
        clock.advance(GRACE);
    });
    assert_eq!(exit.cause, StopCause::Requested);
    assert!(exit.forced && exit.left.is_empty());
    assert_eq!(task.wait_outcome().await, SpawnOutcome::Cancelled);
    let late = world
        .handle
        .spawn("late", SpawnKind::Work, async { Ok(()) })
        .wait_outcome();
    assert_eq!(
        late.await,
        SpawnOutcome::Cancelled,
        "nothing starts any more"
    );
}

#[tokio::test]
async fn only_critical_failures_end_the_process() {
    for (panics, expected) in [(false, "could not poll: disk gone"), (true, "index 3 of 2")] {
        let world = world();
        let (_, finished) = polite(&world.handle);
        let fail = move || async move {
            assert!(!panics, "index {} of {}", 3, 2);
            let source = std::io::Error::other("disk gone");
            Err(BoxError::from(Layered { source }))
        };
        let outcome = if panics {
            SpawnOutcome::Panicked
        } else {
            SpawnOutcome::Failed
        };

        let work = world.handle.spawn("unit", SpawnKind::Work, fail());
        assert_eq!(work.wait_outcome().await, outcome);
        assert!(!world.handle.soft_token().is_cancelled());

        world.handle.spawn("loop", SpawnKind::Critical, fail());
        let exit = world.exit.await;
        let cause = StopCause::Failed {
            name: "loop".into(),
            error: expected.to_owned(),
        };
        assert_eq!(exit.cause, cause);
        assert!(!exit.forced);
        assert!(finished.load(Ordering::SeqCst), "others finish first");
    }
}

#[derive(Debug, thiserror::Error)]
#[error("could not poll")]
struct Layered {
    source: std::io::Error,
}

#[tokio::test]
async fn blocking_work_is_awaited_then_named() {
    let world = world();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let held = tokio::time::timeout(
        Duration::from_millis(20),
        world
            .handle
            .run_blocking("hash", move || wait.recv().is_ok()),
    );
    assert!(held.await.is_err(), "the caller left, the work goes on");
    world.handle.stop_now();
    let clock = world.clock.clone();
    let (exit, ()) = tokio::join!(world.exit, async {
        clock.wait_for_sleepers(1).await;
        clock.advance(HARD_GRACE);
    });
    assert_eq!(exit.left, ["hash"]);
    go.send(()).unwrap();

    let calm = Lifecycle::new(Arc::new(ManualClock::default())).handle();
    assert_eq!(calm.run_blocking("sum", || 1 + 1).await.unwrap(), 2);
    let panicked = calm.run_blocking("bad", || panic!("no")).await;
    let error: BlockingPanicked = panicked.map(|(): ()| ()).unwrap_err();
    assert_eq!(error.to_string(), "blocking work `bad` panicked");
}

#[tokio::test]
async fn real_signals_arrive() {
    let lifecycle = Lifecycle::new(Arc::new(crate::clock::SystemClock));
    let handle = lifecycle.handle();
    let (_, finished) = polite(&handle);
    // The handlers are installed at the first poll, before this task sends anything.
    let (exit, ()) = tokio::join!(lifecycle.run_until_signal(), async {
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::TERM).unwrap();
    });
    assert_eq!(exit.unwrap().cause, StopCause::Signal("SIGTERM"));
    assert!(finished.load(Ordering::SeqCst));
}
