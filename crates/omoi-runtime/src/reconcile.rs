//! Reconcilers: loops that bring the real state closer to the state in the database.
//!
//! A [`Reconciler`] takes no input, may run twice without harm, owns no timer and never sleeps; it
//! says when it next has something to do. The [`ReconcileDriver`] owns the waiting: it ticks at start, on a
//! nudge, at the instant asked for, and at least once per period.

mod entities;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span, trace, warn};

use omoi_domain::time::Timestamp;

use crate::BoxError;
use crate::clock::Clocked;
use crate::lifecycle::{LifecycleHandle, SpawnKind};
use crate::rng::Rng;
use crate::sync::lock;
use crate::telemetry::error_chain;

pub use entities::{Entities, EntityFailure, EntityTurn};

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
    /// The earlier of the two.
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

/// Compares the state in the database with the real state and acts on the difference.
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

    /// Failing entities that it keeps apart from those of [`Reconciler::tick`].
    fn own_failures(&self) -> Vec<EntityFailure> {
        Vec::new()
    }
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

/// Counters and last error of a driver, for metrics and status pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriverStatus {
    /// Name of the reconciler, as in logs.
    pub name: &'static str,
    /// Number of passes begun.
    pub ticks: u64,
    /// Number of passes that failed.
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

/// Reads a driver's [`DriverStatus`] from anywhere.
#[derive(Clone, Debug)]
pub struct StatusReader(Arc<Mutex<DriverStatus>>);

impl StatusReader {
    /// A copy of the current status.
    pub fn read(&self) -> DriverStatus {
        lock(&self.0).clone()
    }
}

/// Runs one reconciler: waits, ticks, backs off after failures.
pub struct ReconcileDriver {
    reconciler: Box<dyn Reconciler>,
    period: Duration,
    clock: Clocked,
    rng: Rng,
    nudge: Nudge,
    entities: Entities,
    status: Arc<Mutex<DriverStatus>>,
}

/// How long the driver waits after a tick.
enum DriverWait {
    Not,
    /// Until the time is over or a nudge comes.
    Ready(Duration),
    /// Until the time is over, nudges or not: they come fastest when things fail.
    BackOff(Duration),
}

impl ReconcileDriver {
    /// A driver that ticks `reconciler` at least every `period`.
    pub fn new(
        reconciler: Box<dyn Reconciler>,
        period: Duration,
        clock: Clocked,
        rng: Rng,
    ) -> Self {
        let status = DriverStatus {
            name: reconciler.name(),
            ..DriverStatus::default()
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
    pub fn nudge_handle(&self) -> Nudge {
        self.nudge.clone()
    }

    /// A handle that reads this driver's status.
    pub fn status_reader(&self) -> StatusReader {
        StatusReader(Arc::clone(&self.status))
    }

    /// Starts the driver as a critical task, so that a panic in a tick ends the process.
    pub fn spawn(self, handle: &LifecycleHandle) {
        let (name, stop) = (self.reconciler.name(), handle.soft_token());
        handle.spawn(name, SpawnKind::Critical, async move {
            self.run_until(stop).await;
            Ok(())
        });
    }

    /// Ticks until `stop`, which lets a running tick finish.
    pub async fn run_until(mut self, stop: CancellationToken) {
        let (name, period_ms) = (self.reconciler.name(), self.period.as_millis());
        debug!(reconciler = name, period_ms, "Reconciler `{name}` started");
        while !stop.is_cancelled() {
            let (pause, nudgeable) = match self.tick_once().await {
                DriverWait::Not => {
                    tokio::task::yield_now().await;
                    continue;
                }
                DriverWait::Ready(pause) => (pause, true),
                DriverWait::BackOff(pause) => (pause, false),
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

    async fn tick_once(&mut self) -> DriverWait {
        // This pass answers every nudge so far, also those after the one that woke it. A failed
        // pass is repeated anyway.
        let _ = self.nudge.0.notified().now_or_never();
        let (name, began) = (self.reconciler.name(), self.clock.now());
        let pass_id = {
            let mut status = lock(&self.status);
            status.ticks += 1;
            status.started_at = Some(began);
            status.ticks
        };
        // Not below what spawned the driver: a pass stands for itself.
        let span = info_span!(parent: None, "pass", reconciler = name, pass.id = pass_id);
        let tick = self.reconciler.tick(began, &mut self.entities);
        let result = tick.instrument(span.clone()).await;
        let _pass = span.enter();
        let result = result.map(|next| self.entities.end_pass(began, next));
        let now = self.clock.now();
        let ms = now.since(began).as_millis() as u64;
        let mut status = lock(&self.status);
        status.ended_at = Some(now);
        status.entities = self.entities.failures();
        status.entities.extend(self.reconciler.own_failures());
        match result {
            Ok(next) => {
                let failed = std::mem::take(&mut status.failing);
                drop(status);
                trace!(ms, ?next, "Pass of `{name}` ended");
                if failed > 0 {
                    info!(failed, "Reconciler `{name}` works again");
                }
                match next {
                    Next::Now => DriverWait::Not,
                    Next::At(at) if at <= now => DriverWait::Not,
                    Next::At(at) => DriverWait::Ready(at.since(now).min(self.period)),
                    Next::Idle => DriverWait::Ready(self.period),
                }
            }
            Err(failure) => {
                let text = error_chain(&*failure);
                status.failures += 1;
                status.failing = status.failing.saturating_add(1);
                status.last_error = Some(text.clone());
                let pause = backoff_pause(status.failing, self.rng.unit_fraction());
                let failing = status.failing;
                drop(status);
                warn!(
                    failing,
                    ms,
                    pause_ms = pause.as_millis() as u64,
                    error = %text,
                    "Reconciler `{name}` failed"
                );
                DriverWait::BackOff(pause)
            }
        }
    }
}

/// The pause after `failing` failures in a row: doubling up to the cap, of which `unit` in `[0, 1)`
/// picks a point in the upper half, so that many processes do not retry in step.
pub(crate) fn backoff_pause(failing: u32, unit: f64) -> Duration {
    let doublings = failing.saturating_sub(1).min(16);
    let full = BACKOFF_BASE.saturating_mul(1 << doublings).min(BACKOFF_CAP);
    full.mul_f64(0.5 + unit / 2.0)
}

#[cfg(test)]
mod tests;
