//! The attempts that this process works on.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::debug;

use omoi_domain::id::{AttemptId, OrgId};
use omoi_domain::time::Timestamp;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_sandbox::{ExhaustedLimit, SandboxControl};

/// Stop handles of the sandboxes this process runs. Never authoritative: the rows are.
/// Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RunningAttempts(Arc<AttemptTable>);

#[derive(Debug, Default)]
struct AttemptTable {
    all: Mutex<BTreeMap<AttemptId, RunningAttempt>>,
    preparing: Mutex<BTreeMap<AttemptId, PreparingNote>>,
    ended: Notify,
}

/// An attempt that this process works on.
#[derive(Debug)]
struct RunningAttempt {
    org: OrgId,
    control: Option<SandboxControl>,
}

/// This process works on an attempt for as long as this lives, however the work ends.
#[derive(Debug)]
#[must_use]
pub struct HeldAttempt {
    among: RunningAttempts,
    attempt: AttemptId,
}

/// That the workspace of an attempt is, or was, being made.
#[derive(Clone, Copy, Debug)]
struct PreparingNote {
    is_now: bool,
    seen_at: Option<Timestamp>,
}

/// The workspace of an attempt is being made for as long as this lives, which has limits of its own.
#[must_use]
pub(crate) struct PreparingAttempt {
    among: RunningAttempts,
    attempt: AttemptId,
}

impl Drop for PreparingAttempt {
    fn drop(&mut self) {
        if let Some(note) = self.among.lock_preparing().get_mut(&self.attempt) {
            note.is_now = false;
        }
    }
}

impl Drop for HeldAttempt {
    fn drop(&mut self) {
        self.among.end_attempt(self.attempt);
    }
}

impl RunningAttempts {
    /// Notes that this process works on an attempt of `org` until the returned value is dropped.
    pub fn hold_attempt(&self, org: OrgId, attempt: AttemptId) -> HeldAttempt {
        let running = RunningAttempt { org, control: None };
        self.lock_attempts().insert(attempt, running);
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

    /// Notes how its sandbox can be stopped.
    pub(crate) fn set_control(&self, attempt: AttemptId, control: SandboxControl) {
        if let Some(running) = self.lock_attempts().get_mut(&attempt) {
            running.control = Some(control);
        }
    }

    fn end_attempt(&self, attempt: AttemptId) {
        self.lock_attempts().remove(&attempt);
        self.lock_preparing().remove(&attempt);
        self.0.ended.notify_waiters();
    }

    /// Notes that the workspace of an attempt is being made until the returned value is dropped.
    pub(crate) fn note_preparing(&self, attempt: AttemptId) -> PreparingAttempt {
        let note = PreparingNote {
            is_now: true,
            seen_at: None,
        };
        self.lock_preparing().insert(attempt, note);
        PreparingAttempt {
            among: self.clone(),
            attempt,
        }
    }

    /// When the workspace of an attempt was last seen being made, this look at `now` included.
    pub(crate) fn preparing_seen_at(
        &self,
        attempt: AttemptId,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut preparing = self.lock_preparing();
        let note = preparing.get_mut(&attempt)?;
        if note.is_now {
            note.seen_at = Some(now);
        }
        note.seen_at
    }

    fn lock_preparing(&self) -> std::sync::MutexGuard<'_, BTreeMap<AttemptId, PreparingNote>> {
        let preparing = &self.0.preparing;
        preparing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process works on an attempt.
    pub fn contains(&self, attempt: AttemptId) -> bool {
        self.lock_attempts().contains_key(&attempt)
    }

    /// The limit that the watcher stopped the sandbox of an attempt for.
    pub fn exhausted_limit(&self, attempt: AttemptId) -> Option<ExhaustedLimit> {
        let all = self.lock_attempts();
        all.get(&attempt)?.control.as_ref()?.exhausted_limit()
    }

    /// Kills the sandbox of an attempt, if this process runs it.
    pub fn kill_sandbox(&self, attempt: AttemptId) {
        let all = self.lock_attempts();
        if let Some(control) = all.get(&attempt).and_then(|one| one.control.as_ref()) {
            control.kill_tree();
        }
    }

    /// Asks the worker of an attempt to save and stop; false when this process runs no such.
    pub fn interrupt_worker(&self, attempt: AttemptId) -> bool {
        let all = self.lock_attempts();
        let Some(control) = all.get(&attempt).and_then(|one| one.control.as_ref()) else {
            return false;
        };
        debug!(attempt.id = %attempt, "Interrupting the worker of `{attempt}`");
        control.interrupt_program();
        true
    }

    /// Whether the sandbox of an attempt was started here and is still held.
    pub fn has_sandboxes(&self) -> bool {
        let all = self.lock_attempts();
        all.values().any(|running| running.control.is_some())
    }

    /// Every attempt this process works on.
    pub fn attempt_ids(&self) -> Vec<AttemptId> {
        self.lock_attempts().keys().copied().collect()
    }

    /// The same by their organisations.
    pub(crate) fn attempts_by_org(&self) -> BTreeMap<OrgId, Vec<AttemptId>> {
        let mut by_org = BTreeMap::<_, Vec<_>>::new();
        for (attempt, running) in self.lock_attempts().iter() {
            by_org.entry(running.org).or_default().push(*attempt);
        }
        by_org
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

    fn lock_attempts(&self) -> std::sync::MutexGuard<'_, BTreeMap<AttemptId, RunningAttempt>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn the_time_of_a_worker_begins_when_its_workspace_is_made() {
        let running = RunningAttempts::default();
        let attempt = "01a22702-0000-7000-8000-000000000000".parse().unwrap();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let held = running.hold_attempt(OrgId::LOCAL, attempt);
        assert_eq!(running.preparing_seen_at(attempt, at(1)), None);
        let preparing = running.note_preparing(attempt);
        assert_eq!(running.preparing_seen_at(attempt, at(2)), Some(at(2)));
        assert_eq!(running.preparing_seen_at(attempt, at(300)), Some(at(300)));
        drop(preparing);
        assert_eq!(running.preparing_seen_at(attempt, at(360)), Some(at(300)));
        drop(held);
        assert_eq!(running.preparing_seen_at(attempt, at(361)), None);
    }
}
