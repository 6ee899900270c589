//! Time and chance, as parameters.

use std::time::Duration;

use futures::future::BoxFuture;
use omoi_domain::time::Timestamp;

/// The clock and the dice of every call to a model.
///
/// The composition root adapts the process's own clock; tests bring one they move themselves.
pub trait Pace: Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Timestamp;

    /// Waits on purpose, between two tries.
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()>;

    /// Ends when `limit` is over: the guard beside something that should end sooner.
    ///
    /// Apart from [`Pace::sleep`] so that a test can let pauses fly by without also cutting off the
    /// real connection that a guard watches.
    fn expire(&self, limit: Duration) -> BoxFuture<'static, ()> {
        self.sleep(limit)
    }

    /// A fresh number in `0.0..1.0`, evenly spread.
    fn jitter(&self) -> f64;
}
