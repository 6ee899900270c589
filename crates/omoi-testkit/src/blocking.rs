//! Shows that work waits for a thread of its own instead of holding up those that serve others.

#![expect(clippy::expect_used, reason = "a test fails here")]

use std::sync::mpsc::{Sender, channel};

use tokio::runtime::{Builder, Runtime};

/// The only thread that a runtime has for blocking work, taken until it is released.
#[derive(Debug)]
pub struct TakenThread(Sender<()>);

impl TakenThread {
    /// Lets blocking work begin.
    pub fn release(&self) {
        self.0.send(()).expect("it is released once");
    }

    /// Whether blocking work could begin.
    pub fn is_released(&self) -> bool {
        self.0.send(()).is_err()
    }
}

/// A runtime of one thread that can begin no blocking work before it is let.
pub fn without_blocking_thread() -> (Runtime, TakenThread) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .expect("a runtime");
    let (release, wait) = channel();
    runtime.spawn_blocking(move || wait.recv());
    (runtime, TakenThread(release))
}
