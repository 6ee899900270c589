//! How requests are read: within bounds of size and time.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use hyper::rt::{Sleep, Timer};
use hyper::server::conn::http1;
use omoi_runtime::clock::Clocked;

/// How long a client may take for the head of a request, its silence before it counted in.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// Headers that a request may have.
const HEADERS_MAX: usize = 100;
/// Bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What the head of a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadBounds {
    /// How long it may take to come, the silence before it counted in.
    pub time_max: Duration,
    /// Its bytes.
    pub bytes_max: usize,
}

/// Serves connections of sandboxes.
pub fn server_builder(clock: &Clocked) -> http1::Builder {
    let bounds = HeadBounds {
        time_max: HEAD_MAX,
        bytes_max: HEAD_BYTES_MAX,
    };
    let mut builder = server_builder_within(clock, bounds);
    builder.max_buf_size(HEAD_BYTES_MAX);
    builder
}

/// Serves connections within `bounds`.
pub fn server_builder_within(clock: &Clocked, bounds: HeadBounds) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // Without a timer the bound of time is not kept.
        .timer(ClockTimer(clock.clone()))
        .header_read_timeout(bounds.time_max)
        .max_headers(HEADERS_MAX)
        .max_header_size(bounds.bytes_max);
    builder
}

/// The project's clock, as the server wants it.
struct ClockTimer(Clocked);

impl Timer for ClockTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(ClockSleep(Mutex::new(self.0.sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }
}

/// The lock is never waited for: it only lets the future be shared, which the server asks for.
struct ClockSleep(Mutex<BoxFuture<'static, ()>>);

impl Future for ClockSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.get_mut().0.get_mut();
        let sleep = sleep.unwrap_or_else(PoisonError::into_inner);
        sleep.as_mut().poll(context)
    }
}

impl Sleep for ClockSleep {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::convert::Infallible;
    use std::sync::Arc;

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Empty;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use omoi_domain::time::Timestamp;
    use omoi_runtime::clock::ManualClock;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn a_head_that_never_ends_ends_the_connection() {
        let clock = ManualClock::new(Timestamp::default());
        let clocked: Clocked = Arc::new(clock.clone());
        let (mut client, server) = tokio::io::duplex(1 << 10);
        let service = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        });
        client
            .write_all(b"GET / HTTP/1.1\r\nx-slow: ")
            .await
            .unwrap();
        let serving = server_builder(&clocked).serve_connection(TokioIo::new(server), service);
        let (served, ()) = tokio::join!(serving, async {
            clock.wait_for_sleepers(1).await;
            clock.advance(HEAD_MAX);
        });
        assert!(served.unwrap_err().is_timeout());
    }
}
