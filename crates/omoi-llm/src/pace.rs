//! Clock and randomness of model calls, as parameters.

use std::time::Duration;

use futures::future::BoxFuture;

use omoi_domain::time::Timestamp;

/// The clock and the jitter of model calls.
///
/// The composition root adapts the process's own clock; tests bring one they move themselves.
pub trait CallPace: Send + Sync + 'static {
    /// The current time of the clock.
    fn now(&self) -> Timestamp;

    /// Waits on purpose, between two tries.
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()>;

    /// Waits for the time limit of something that should end sooner.
    ///
    /// Apart from [`CallPace::sleep`] so that a test can skip pauses without also ending the real
    /// connection that the limit guards.
    fn expire(&self, limit: Duration) -> BoxFuture<'static, ()> {
        self.sleep(limit)
    }

    /// A fresh number in `0.0..1.0`, evenly spread.
    fn jitter(&self) -> f64;
}
