//! The one place that starts tasks, and the two-stage stop that awaits them all.
//!
//! Two tokens: *soft* means finish what you hold and return, *hard* means every task is dropped at
//! its next await point. The first signal is soft; the second, or the end of the grace time, is
//! hard. A kill at any instant is a normal way to stop, so nothing here saves state.

mod task;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, debug, info, info_span, trace, warn};

pub use self::task::{BlockingPanicked, SpawnOutcome, SpawnedTask};
use self::task::{RunningEntry, RunningNames, log_outcome};
use crate::BoxError;
use crate::clock::Clocked;
use crate::sync::lock;

/// How long a soft stop may take before it turns hard.
pub const GRACE: Duration = Duration::from_secs(30);
/// How long blocking work may hold up the exit after a hard stop.
pub const HARD_GRACE: Duration = Duration::from_secs(5);

/// Name of a task in logs and in the list of running tasks.
pub type SpawnName = Cow<'static, str>;

/// What the failure of a task does to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnKind {
    /// The process cannot do its job without it: an error or a panic stops the process softly.
    Critical,
    /// One unit of work: an error or a panic is logged and ends only itself.
    Work,
}

/// Why the process stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// The operating system asked for it.
    Signal(&'static str),
    /// The program came to its end.
    Requested,
    /// A critical task returned an error or panicked.
    Failed {
        /// Name the task was started with.
        name: SpawnName,
        /// Its error with every cause, or the panic's message.
        error: String,
    },
}

/// How the process stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleExit {
    /// Why it began to stop.
    pub cause: StopCause,
    /// Whether tasks had to be dropped.
    pub forced: bool,
    /// Blocking work that did not end in time.
    pub left: Vec<SpawnName>,
}

/// Owns every task of the process; ends when they have all ended.
#[derive(Debug)]
pub struct Lifecycle {
    handle: LifecycleHandle,
}

/// Starts tasks and tells them when to stop; cheap to clone.
#[derive(Clone, Debug)]
pub struct LifecycleHandle(Arc<LifecycleInner>);

#[derive(Debug)]
struct LifecycleInner {
    clock: Clocked,
    tracker: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    /// The first one wins.
    cause: Mutex<Option<StopCause>>,
    running: RunningNames,
}

/// Names of the signals that ask this process to stop, as they come.
pub type SignalStream = Pin<Box<dyn Stream<Item = &'static str> + Send>>;

/// SIGTERM and SIGINT (Ctrl-C), which from now on do not end the process by themselves.
///
/// # Errors
/// The system's error when the signal handlers cannot be installed.
pub fn stop_signals() -> std::io::Result<SignalStream> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(Box::pin(stream::poll_fn(move |cx| {
        if terminate.poll_recv(cx).is_ready() {
            Poll::Ready(Some("SIGTERM"))
        } else if interrupt.poll_recv(cx).is_ready() {
            Poll::Ready(Some("SIGINT"))
        } else {
            Poll::Pending
        }
    })))
}

impl Lifecycle {
    /// A lifecycle that gives a soft stop [`GRACE`].
    pub fn new(clock: Clocked) -> Self {
        let soft = CancellationToken::new();
        Self {
            handle: LifecycleHandle(Arc::new(LifecycleInner {
                clock,
                tracker: TaskTracker::new(),
                soft,
                hard: CancellationToken::new(),
                cause: Mutex::new(None),
                running: Arc::new(Mutex::new(BTreeMap::new())),
            })),
        }
    }

    /// The handle to start tasks with.
    pub fn handle(&self) -> LifecycleHandle {
        self.handle.clone()
    }

    /// Runs until SIGTERM, SIGINT, [`LifecycleHandle::stop`] or the failure of a critical task, then until
    /// everything started has ended.
    ///
    /// # Errors
    /// Returns the system's error when the signal handlers cannot be installed.
    pub async fn run_until_signal(self) -> std::io::Result<LifecycleExit> {
        Ok(self.run_with_signals(stop_signals()?).await)
    }

    /// As [`run_until_signal`](Self::run_until_signal), with signals from anywhere.
    pub async fn run_with_signals(
        self,
        signals: impl Stream<Item = &'static str> + Send,
    ) -> LifecycleExit {
        let LifecycleInner {
            clock,
            tracker,
            soft,
            hard,
            ..
        } = &*self.handle.0;
        // A stream that ended asks for nothing any more.
        let mut signals = pin!(signals.chain(stream::pending()));

        // Both branches may be dropped: a stream keeps its place, a token its state.
        tokio::select! {
            Some(name) = signals.next() => self.handle.begin_stop(StopCause::Signal(name)),
            () = soft.cancelled() => {}
        }
        tracker.close();
        let (n_tasks, grace_s) = (tracker.len(), GRACE.as_secs());
        debug!(n_tasks, grace_s, "Stopping softly");

        // Nothing is lost when a branch is dropped: the tracker counts on its own.
        let forced = tokio::select! {
            biased;
            () = tracker.wait() => false,
            Some(_) = signals.next() => true,
            () = hard.cancelled() => true,
            () = clock.sleep(GRACE) => true,
        };
        hard.cancel();
        if forced {
            warn!(tasks = ?self.handle.running_names(), "Stopping hard");
            tokio::select! {
                biased;
                () = tracker.wait() => {}
                () = clock.sleep(HARD_GRACE) => {}
            }
        }
        let cause = lock(&self.handle.0.cause).take();
        let cause = cause.unwrap_or(StopCause::Requested);
        log_stop(&cause, forced);
        LifecycleExit {
            cause,
            forced,
            left: self.handle.running_names(),
        }
    }
}

impl LifecycleHandle {
    /// Starts `future`. The returned [`SpawnedTask`] may be dropped; the task goes on and is awaited at
    /// the end of the process.
    pub fn spawn<F>(&self, name: impl Into<SpawnName>, kind: SpawnKind, future: F) -> SpawnedTask
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let name = name.into();
        // Below the span of who starts it, so that its lines carry the same ids.
        let span = info_span!("spawned", spawn.name = %name);
        self.spawn_within(span, name, kind, future)
    }

    /// The same for what outlives whoever happens to start it: its lines carry no ids of theirs.
    pub fn spawn_detached<F>(
        &self,
        name: impl Into<SpawnName>,
        kind: SpawnKind,
        future: F,
    ) -> SpawnedTask
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let name = name.into();
        let span = info_span!(parent: None, "spawned", spawn.name = %name);
        self.spawn_within(span, name, kind, future)
    }

    fn spawn_within<F>(
        &self,
        span: Span,
        name: SpawnName,
        kind: SpawnKind,
        future: F,
    ) -> SpawnedTask
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let entry = RunningEntry::add(&self.0.running, name.clone());
        let (done, outcome) = oneshot::channel();
        let handle = self.clone();
        let work = async move {
            let _entry = entry;
            trace!("Started `{name}`");
            // Dropping the future is what a hard stop means.
            let outcome = tokio::select! {
                biased;
                () = handle.0.hard.cancelled() => SpawnOutcome::Cancelled,
                result = AssertUnwindSafe(future).catch_unwind() => {
                    let (outcome, error) = log_outcome(&name, result);
                    if let (SpawnKind::Critical, Some(error)) = (kind, error) {
                        handle.begin_stop(StopCause::Failed { name, error });
                    }
                    outcome
                }
            };
            // Nobody may be waiting.
            let _ = done.send(outcome);
        };
        self.0.tracker.spawn(work.instrument(span));
        SpawnedTask::new(outcome)
    }

    /// Runs blocking or CPU-heavy `work` off the async threads.
    ///
    /// It cannot be stopped: when the caller goes away it still runs to its end, and the process
    /// waits for it up to [`HARD_GRACE`] after a hard stop.
    ///
    /// # Errors
    /// Returns [`BlockingPanicked`] when `work` panicked.
    pub async fn run_blocking<T: Send + 'static>(
        &self,
        name: impl Into<SpawnName>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BlockingPanicked> {
        let name = name.into();
        let entry = RunningEntry::add(&self.0.running, name.clone());
        let span = Span::current();
        let joined = self.0.tracker.spawn_blocking(move || {
            let _entry = entry;
            span.in_scope(work)
        });
        joined.await.map_err(|_| BlockingPanicked { name })
    }

    /// Ends when a soft stop begins: claim nothing new, finish what you hold, return.
    pub fn soft_token(&self) -> CancellationToken {
        self.0.soft.clone()
    }

    /// Ends when a hard stop begins; tasks are dropped then, so only what outlives its task
    /// (a child process) needs it.
    pub fn hard_token(&self) -> CancellationToken {
        self.0.hard.clone()
    }

    /// Begins a soft stop because the program's work is done.
    pub fn stop(&self) {
        self.begin_stop(StopCause::Requested);
    }

    /// Begins a hard stop.
    pub fn stop_now(&self) {
        self.begin_stop(StopCause::Requested);
        self.0.hard.cancel();
    }

    /// The names of what runs now, oldest first.
    pub fn running_names(&self) -> Vec<SpawnName> {
        lock(&self.0.running).values().cloned().collect()
    }

    fn begin_stop(&self, cause: StopCause) {
        if !self.0.soft.is_cancelled() {
            log_stop_asked(&cause);
        }
        lock(&self.0.cause).get_or_insert(cause);
        self.0.soft.cancel();
    }
}

/// Logs why a process is to stop: what others ask for is a milestone, the end of its own work is none.
fn log_stop_asked(cause: &StopCause) {
    match cause {
        StopCause::Signal(name) => info!(signal = name, "Stopping because of {name}"),
        StopCause::Requested => debug!("Stopping at the end of the work"),
        StopCause::Failed { name, .. } => {
            warn!(spawn.name = %name, "Stopping because `{name}` failed");
        }
    }
}

/// Logs the end of a process.
fn log_stop(cause: &StopCause, forced: bool) {
    match cause {
        StopCause::Requested => debug!(forced, "Stopped"),
        StopCause::Signal(_) | StopCause::Failed { .. } => info!(forced, "Stopped"),
    }
}

#[cfg(test)]
mod tests;
