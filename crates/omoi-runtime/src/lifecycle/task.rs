//! One started task: its place in the list of running ones, and how it ended.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tracing::error;

use super::Name;
use crate::BoxError;
use crate::sync::lock;
use crate::telemetry::chain;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned.
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
pub struct Task(oneshot::Receiver<Outcome>);

impl Task {
    pub(super) fn new(outcome: oneshot::Receiver<Outcome>) -> Self {
        Self(outcome)
    }

    /// Waits for the end of the task.
    pub async fn ended(self) -> Outcome {
        // The sender goes away unsent only when the runtime itself is torn down.
        self.0.await.unwrap_or(Outcome::Cancelled)
    }
}

/// Blocking work panicked; the panic's message went to standard error.
#[derive(Debug, thiserror::Error)]
#[error("blocking work `{name}` panicked")]
pub struct BlockingPanicked {
    /// The work.
    pub name: Name,
}

/// What runs, by order of start.
pub(super) type Running = Arc<Mutex<BTreeMap<u64, Name>>>;

/// A task's place in [`Running`], given up on drop.
pub(super) struct Entry {
    running: Running,
    id: u64,
}

impl Entry {
    pub(super) fn add(running: &Running, name: Name) -> Self {
        let mut names = lock(running);
        let id = names.last_key_value().map_or(0, |(id, _)| id + 1);
        names.insert(id, name);
        Self {
            running: Arc::clone(running),
            id,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.id);
    }
}

/// Logs how `name` ended; the text is there when it ended badly.
pub(super) fn ended(
    name: &Name,
    result: Result<Result<(), BoxError>, Box<dyn Any + Send>>,
) -> (Outcome, Option<String>) {
    match result {
        Ok(Ok(())) => (Outcome::Done, None),
        Ok(Err(failure)) => {
            let text = chain(&*failure);
            error!(task.name = %name, error = %text, "Task `{name}` failed");
            (Outcome::Failed, Some(text))
        }
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "panic without a message".to_owned());
            error!(task.name = %name, panic = %text, "Task `{name}` panicked");
            (Outcome::Panicked, Some(text))
        }
    }
}
