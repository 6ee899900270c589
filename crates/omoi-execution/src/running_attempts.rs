//! The attempts that this process works on.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::debug;

use omoi_domain::id::AttemptId;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_sandbox::{ExhaustedLimit, SandboxControl};

/// Stop handles of the sandboxes this process runs. Never authoritative: the rows are.
/// Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RunningAttempts(Arc<AttemptTable>);

#[derive(Debug, Default)]
struct AttemptTable {
    all: Mutex<BTreeMap<AttemptId, Option<SandboxControl>>>,
    ended: Notify,
}

/// This process works on an attempt for as long as this lives, however the work ends.
#[derive(Debug)]
#[must_use]
pub struct HeldAttempt {
    among: RunningAttempts,
    attempt: AttemptId,
}

impl Drop for HeldAttempt {
    fn drop(&mut self) {
        self.among.end_attempt(self.attempt);
    }
}

impl RunningAttempts {
    /// Notes that this process works on an attempt until the returned value is dropped.
    pub fn hold_attempt(&self, attempt: AttemptId) -> HeldAttempt {
        self.begin_attempt(attempt);
        HeldAttempt {
            among: self.clone(),
            attempt,
        }
    }

    /// Ends when the process is to stop and its attempts have ended. What attempts need to end well
    /// must last as long.
    pub async fn work_ended(&self, lifecycle: &LifecycleHandle) {
        lifecycle.soft_token().cancelled().await;
        self.wait_drained().await;
    }

    fn begin_attempt(&self, attempt: AttemptId) {
        self.lock_attempts().insert(attempt, None);
    }

    /// Notes how its sandbox can be stopped.
    pub(crate) fn set_control(&self, attempt: AttemptId, control: SandboxControl) {
        self.lock_attempts().insert(attempt, Some(control));
    }

    fn end_attempt(&self, attempt: AttemptId) {
        self.lock_attempts().remove(&attempt);
        self.0.ended.notify_waiters();
    }

    /// Whether this process works on an attempt.
    pub fn contains(&self, attempt: AttemptId) -> bool {
        self.lock_attempts().contains_key(&attempt)
    }

    /// The limit that the watcher stopped the sandbox of an attempt for.
    pub fn exhausted_limit(&self, attempt: AttemptId) -> Option<ExhaustedLimit> {
        let all = self.lock_attempts();
        all.get(&attempt)?.as_ref()?.exhausted_limit()
    }

    /// Kills the sandbox of an attempt, if this process runs it.
    pub fn kill_sandbox(&self, attempt: AttemptId) {
        if let Some(Some(control)) = self.lock_attempts().get(&attempt) {
            control.kill_tree();
        }
    }

    /// Asks the worker of an attempt to save and stop; false when this process runs no such.
    pub fn interrupt_worker(&self, attempt: AttemptId) -> bool {
        let all = self.lock_attempts();
        let Some(Some(control)) = all.get(&attempt) else {
            return false;
        };
        debug!(attempt.id = %attempt, "Interrupting the worker of `{attempt}`");
        control.interrupt_program();
        true
    }

    /// Whether the sandbox of an attempt was started here and is still held.
    pub fn has_sandboxes(&self) -> bool {
        self.lock_attempts().values().any(Option::is_some)
    }

    /// Every attempt this process works on.
    pub fn attempt_ids(&self) -> Vec<AttemptId> {
        self.lock_attempts().keys().copied().collect()
    }

    /// Ends when this process works on nothing.
    pub async fn wait_drained(&self) {
        loop {
            // Registered before the look, so that an end in between is not missed.
            let mut ended = pin!(self.0.ended.notified());
            ended.as_mut().enable();
            if self.lock_attempts().is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn lock_attempts(
        &self,
    ) -> std::sync::MutexGuard<'_, BTreeMap<AttemptId, Option<SandboxControl>>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
