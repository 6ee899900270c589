//! The bus inside one process.

use futures::future::BoxFuture;
use tokio::sync::broadcast;

use super::{BACKLOG_MAX, Bus, BusError, BusHint, HintSubscription, check_topic};

/// Hints among the tasks of one process; clones are the same bus.
#[derive(Clone, Debug)]
pub struct LocalBus(broadcast::Sender<BusHint>);

impl LocalBus {
    /// A bus without subscribers.
    pub fn new() -> Self {
        Self(broadcast::channel(BACKLOG_MAX).0)
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus for LocalBus {
    fn publish_hint(&self, hint: BusHint) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            check_topic(&hint)?;
            // Without a subscriber there is nobody to tell.
            let _ = self.0.send(hint);
            Ok(())
        })
    }

    fn subscribe_hints(&self) -> HintSubscription {
        HintSubscription(self.0.subscribe())
    }
}
