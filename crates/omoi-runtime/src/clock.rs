//! Time as a parameter: the wall clock, and one that moves only when a test says so.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use tokio::sync::{Notify, oneshot};

use omoi_domain::time::Timestamp;

use crate::sync::lock;

/// A clock handed to whatever needs the time.
pub type Clocked = Arc<dyn Clock>;

/// Tells the time and waits for it to pass.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current instant of this clock, with microseconds.
    fn now(&self) -> Timestamp;

    /// Ends once `duration` has passed, counted from this call rather than from the first poll.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The deadline passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {0:?}")]
pub struct DeadlinePassed(pub Duration);

/// Runs `work` for at most `limit`, then drops it.
///
/// # Errors
/// Returns [`DeadlinePassed`] when `limit` passed first.
pub async fn with_deadline<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, DeadlinePassed> {
    let sleep = clock.sleep(limit);
    // Dropping `work` at the deadline is what the caller asked for.
    tokio::select! {
        biased;
        out = work => Ok(out),
        () = sleep => Err(DeadlinePassed(limit)),
    }
}

/// The wall clock of the machine, for production.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Timestamp::default() + since_epoch
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that really waits")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until [`advance`](Self::advance) moves it; clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<ManualInner>);

#[derive(Debug)]
struct ManualInner {
    state: Mutex<ManualState>,
    /// Told whenever a sleeper comes.
    arrived: Notify,
}

#[derive(Debug)]
struct ManualState {
    now: Timestamp,
    ids: u64,
    /// By deadline, then by order of arrival.
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

impl ManualClock {
    /// A clock standing at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(ManualInner {
            state: Mutex::new(ManualState {
                now,
                ids: 0,
                sleepers: BTreeMap::new(),
            }),
            arrived: Notify::new(),
        }))
    }

    /// Moves time forward and wakes every sleeper whose deadline is reached, earliest first.
    pub fn advance(&self, duration: Duration) {
        let mut state = lock(&self.0.state);
        let now = state.now + duration;
        state.now = now;
        while let Some(first) = state.sleepers.first_entry() {
            if first.key().0 > now {
                break;
            }
            // The sleeper may have been dropped meanwhile.
            let _ = first.remove().send(());
        }
    }

    /// The earliest instant somebody sleeps until.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let state = lock(&self.0.state);
        state.sleepers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Ends when at least `n` sleepers wait, so that a test advances only after the code under
    /// test went to sleep.
    pub async fn wait_for_sleepers(&self, n: usize) {
        loop {
            let mut arrived = pin!(self.0.arrived.notified());
            // Registered before the count is read, so no arrival between the two is missed.
            arrived.as_mut().enable();
            if lock(&self.0.state).sleepers.len() >= n {
                return;
            }
            arrived.await;
        }
    }
}

impl Default for ManualClock {
    /// A clock that stands at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::new(Timestamp::from_micros(1_767_225_600_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        lock(&self.0.state).now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        let (wake, woken) = oneshot::channel();
        let mut state = lock(&self.0.state);
        state.ids += 1;
        let key = (state.now + duration, state.ids);
        state.sleepers.insert(key, wake);
        drop(state);
        self.0.arrived.notify_waiters();
        let registered = SleeperEntry {
            clock: self.clone(),
            key,
        };
        Box::pin(async move {
            let _registered = registered;
            // The sender goes away unsent only together with the clock itself.
            let _ = woken.await;
        })
    }
}

/// Takes a dropped sleeper off the list.
struct SleeperEntry {
    clock: ManualClock,
    key: (Timestamp, u64),
}

impl Drop for SleeperEntry {
    fn drop(&mut self) {
        lock(&self.clock.0.state).sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn manual_time_moves_only_by_hand() {
        let clock = ManualClock::default();
        let start = clock.now();
        let mut late = clock.sleep(3 * SECOND);
        let mut early = clock.sleep(SECOND);
        assert_eq!(clock.next_deadline(), Some(start + SECOND));
        assert!((&mut early).now_or_never().is_none());

        clock.advance(2 * SECOND);
        assert_eq!(clock.now(), start + 2 * SECOND);
        assert!((&mut early).now_or_never().is_some());
        assert!((&mut late).now_or_never().is_none());

        drop(late);
        assert_eq!(clock.next_deadline(), None, "a dropped sleeper is gone");
        assert!(clock.sleep(Duration::ZERO).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_deadline_cuts_work_short() {
        let clock = ManualClock::default();
        let stuck = with_deadline(&clock, SECOND, std::future::pending::<()>());
        let (cut, ()) = tokio::join!(stuck, async {
            clock.wait_for_sleepers(1).await;
            clock.advance(SECOND);
        });
        assert_eq!(cut, Err(DeadlinePassed(SECOND)));
        assert_eq!(with_deadline(&clock, SECOND, async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn system_time_is_wall_time() {
        let clock = SystemClock;
        let before = clock.now();
        assert!(before > Timestamp::from_micros(1_700_000_000_000_000));
        clock.sleep(Duration::from_millis(5)).await;
        assert!(clock.now().since(before) >= Duration::from_millis(5));
    }
}
