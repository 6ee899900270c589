//! Why a worker stops before its agent is done; the first reason counts.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Why the worker stops before the agent is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentStopCause {
    /// Another attempt took over; nothing this one says counts any more.
    Superseded,
    /// Somebody sent an interrupt.
    Interrupt,
    /// The sandbox is being shut down.
    Shutdown,
}

/// Stops the tasks of the worker; clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopSignal {
    why: Arc<OnceLock<AgentStopCause>>,
    token: CancellationToken,
}

impl StopSignal {
    /// Requests a stop; the first cause is kept.
    pub(crate) fn request_stop(&self, why: AgentStopCause) {
        let _ = self.why.set(why);
        self.token.cancel();
    }

    /// Waits until a stop is requested; gives its cause.
    pub(crate) async fn wait_stopped(&self) -> AgentStopCause {
        self.token.cancelled().await;
        // Set before the token is cancelled.
        self.why.get().copied().unwrap_or(AgentStopCause::Shutdown)
    }
}
