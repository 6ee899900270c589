//! Why a worker stops before its agent is done; the first reason counts.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Why to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Another attempt took over; nothing this one says counts any more.
    Superseded,
    /// Somebody sent an interrupt.
    Interrupt,
    /// The sandbox is being shut down.
    Shutdown,
}

/// Tells everybody to stop; clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopper {
    why: Arc<OnceLock<Stop>>,
    token: CancellationToken,
}

impl Stopper {
    /// Asks for a stop.
    pub(crate) fn stop(&self, why: Stop) {
        let _ = self.why.set(why);
        self.token.cancel();
    }

    /// Ends when somebody asked for a stop.
    pub(crate) async fn stopped(&self) -> Stop {
        self.token.cancelled().await;
        // Set before the token is cancelled.
        self.why.get().copied().unwrap_or(Stop::Shutdown)
    }
}
