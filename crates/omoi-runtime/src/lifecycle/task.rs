//! One started task: its place in the list of running ones, and how it ended.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tracing::error;

use super::SpawnName;
use crate::BoxError;
use crate::sync::lock;
use crate::telemetry::error_chain;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnOutcome {
    /// It returned without an error.
    Done,
    /// It returned an error, which was logged.
    Failed,
    /// It panicked, which was logged.
    Panicked,
    /// A hard stop dropped it.
    Cancelled,
}

/// A started task, for a caller who wants to know how it ends.
#[derive(Debug)]
pub struct SpawnedTask(oneshot::Receiver<SpawnOutcome>);

impl SpawnedTask {
    pub(super) fn new(outcome: oneshot::Receiver<SpawnOutcome>) -> Self {
        Self(outcome)
    }

    /// Waits for the end of the task.
    pub async fn wait_outcome(self) -> SpawnOutcome {
        // The sender goes away unsent only when the runtime itself is torn down.
        self.0.await.unwrap_or(SpawnOutcome::Cancelled)
    }
}

/// Blocking work panicked; the panic's message went to standard error.
#[derive(Debug, thiserror::Error)]
#[error("blocking work `{name}` panicked")]
pub struct BlockingPanicked {
    /// Name the work was started with.
    pub name: SpawnName,
}

/// Names of running tasks, in order of start.
pub(super) type RunningNames = Arc<Mutex<BTreeMap<u64, SpawnName>>>;

/// A task's place in [`RunningNames`], given up on drop.
pub(super) struct RunningEntry {
    running: RunningNames,
    id: u64,
}

impl RunningEntry {
    pub(super) fn add(running: &RunningNames, name: SpawnName) -> Self {
        let mut names = lock(running);
        let id = names.last_key_value().map_or(0, |(id, _)| id + 1);
        names.insert(id, name);
        Self {
            running: Arc::clone(running),
            id,
        }
    }
}

impl Drop for RunningEntry {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.id);
    }
}

/// Logs how `name` ended; the text is there when it ended badly.
pub(super) fn log_outcome(
    name: &SpawnName,
    result: Result<Result<(), BoxError>, Box<dyn Any + Send>>,
) -> (SpawnOutcome, Option<String>) {
    match result {
        Ok(Ok(())) => (SpawnOutcome::Done, None),
        Ok(Err(failure)) => {
            let text = error_chain(&*failure);
            error!(spawn.name = %name, error = %text, "Task `{name}` failed");
            (SpawnOutcome::Failed, Some(text))
        }
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "panic without a message".to_owned());
            error!(spawn.name = %name, panic = %text, "Task `{name}` panicked");
            (SpawnOutcome::Panicked, Some(text))
        }
    }
}
