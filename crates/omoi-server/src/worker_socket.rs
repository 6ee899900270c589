//! The socket that sandboxes reach: how its connections are taken, served and ended.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use omoi_egress::listener::server_builder;
use omoi_runtime::clock::{Clocked, with_deadline};
use omoi_runtime::lifecycle::SpawnKind;

use crate::connection_seats::{ConnectionSeat, ConnectionSeats, SeatCaps};
use crate::worker::{WorkerSurface, router};

/// How long model calls may take to be recorded once the last sandbox has gone.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Time between two attempts to take a connection, where the first failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Answers sandboxes on `listener` until `stop`, then until the cost of every model call is recorded:
/// who went away in the middle of one does not wait for that.
pub async fn serve_workers(
    listener: UnixListener,
    surface: WorkerSurface,
    stop: impl Future<Output = ()> + Send,
) {
    let clock = surface.parts.clock.clone();
    let served = ServedConnections {
        router: router(surface.clone()),
        clock: clock.clone(),
        stopping: CancellationToken::new(),
    };
    let (seats, open) = (
        ConnectionSeats::new(SeatCaps::of_process()),
        TaskTracker::new(),
    );
    let mut stop = pin!(stop);
    loop {
        // Both are cancel-safe: a listener, and a future that is kept.
        let stream = tokio::select! {
            () = &mut stop => break,
            stream = accept_stream(&listener, &clock) => stream,
        };
        let seat = stream.peer_cred().map(|peer| seats.take_seat(peer.uid()));
        if let Ok(Some(seat)) = seat {
            let serving = open.track_future(served.clone().serve_connection(stream, seat));
            let lifecycle = &surface.parts.lifecycle;
            lifecycle.spawn("worker connection", SpawnKind::Work, serving);
        }
    }
    drop(listener);
    served.stopping.cancel();
    open.close();
    open.wait().await;
    debug!("No sandbox reports any more");
    if let Ok(gateway) = &surface.gateway
        && with_deadline(clock.as_ref(), DRAIN_MAX, gateway.drain_questions())
            .await
            .is_err()
    {
        warn!(
            "Model calls are not recorded after {} s; the next start settles them",
            DRAIN_MAX.as_secs()
        );
    }
}

/// The next connection of `listener`.
///
/// What keeps it from being taken, such as too many open files, passes: those who wait would wait in vain.
pub(crate) async fn accept_stream(listener: &UnixListener, clock: &Clocked) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                warn!(%error, "Could not accept a connection of a sandbox; trying again");
                clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What every connection is served with.
#[derive(Clone)]
struct ServedConnections {
    router: Router,
    clock: Clocked,
    /// Cancelled when what is asked already is answered, and nothing else.
    stopping: CancellationToken,
}

impl ServedConnections {
    async fn serve_connection(
        self,
        stream: UnixStream,
        seat: Arc<ConnectionSeat>,
    ) -> Result<(), omoi_runtime::BoxError> {
        let service = service_fn(|request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(seat.clone());
            let router = self.router.clone();
            async move {
                Ok::<_, Infallible>(
                    router
                        .oneshot(request)
                        .await
                        .unwrap_or_else(|never| match never {}),
                )
            }
        });
        let builder = server_builder(&self.clock);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection.with_upgrades());
        let mut is_stopping = false;
        loop {
            // The connection is kept, the others are tokens.
            tokio::select! {
                served = connection.as_mut() => {
                    if let Err(error) = served {
                        debug!("A connection of a sandbox ended early: {error}");
                    }
                    return Ok(());
                }
                () = seat.wait_evicted() => return Ok(()),
                () = self.stopping.cancelled(), if !is_stopping => {
                    // Nobody knows whether it would ever ask.
                    if seat.is_stranger() {
                        return Ok(());
                    }
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
