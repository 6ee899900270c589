//! A TCP listener of HTTP: how many connections it holds, how long a request may take to come, and how it ends.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use omoi_domain::error_code::ErrorCode;
use omoi_domain::planted_bug::{PlantedBug, is_planted};
use omoi_egress::listener::{HeadBounds, server_builder_within};
use omoi_protocol::error::ErrorBody;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};

use crate::address_seats::{AddressCaps, AddressSeat, AddressSeats, CrowdedListener};
use crate::options::ConnectionOptions;
use crate::site::Site;

/// Time between two attempts to take a connection, where the first failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The share of the files that this process may open that connections are left.
const OPEN_FILES_SHARE: u64 = 2;
/// When whoever finds no place is told to come again.
const CROWDED_WAIT_S: u32 = 1;

/// What a listener serves with.
#[derive(Clone)]
pub struct NetworkListener {
    /// Tells how long a request takes to come.
    pub clock: Clocked,
    /// Owns the connections.
    pub lifecycle: LifecycleHandle,
    /// Which addresses are proxies of ours.
    pub site: Site,
    /// How much of each there may be.
    pub options: ConnectionOptions,
}

impl NetworkListener {
    /// Answers by `router` on `listener` until `stop`, then what is asked already.
    pub async fn serve_connections(
        self,
        listener: TcpListener,
        router: Router,
        stop: impl Future<Output = ()> + Send,
    ) {
        let seats = AddressSeats::new(self.address_caps());
        let (stopping, open) = (CancellationToken::new(), TaskTracker::new());
        let mut stop = pin!(stop);
        loop {
            // Both are cancel-safe: a listener, and a future that is kept.
            let (stream, peer) = tokio::select! {
                () = &mut stop => break,
                accepted = self.accept_connection(&listener) => accepted,
            };
            match self.take_seat(&seats, peer.ip()) {
                Ok(seat) => {
                    let connection = NetworkConnection {
                        router: router.clone(),
                        peer,
                        stopping: stopping.clone(),
                        asked: Arc::default(),
                        _seat: seat,
                    };
                    let serving = connection.serve(stream, self.clone());
                    let serving = open.track_future(serving);
                    self.lifecycle
                        .spawn("http connection", SpawnKind::Work, serving);
                }
                Err(crowded) => refuse_connection(&stream, crowded),
            }
        }
        drop(listener);
        stopping.cancel();
        open.close();
        open.wait().await;
    }

    /// No more connections than half of the files that this process may open.
    fn address_caps(&self) -> AddressCaps {
        let limit = getrlimit(Resource::Nofile).current;
        let files = limit.unwrap_or(u64::MAX) / OPEN_FILES_SHARE;
        let all = usize::try_from(files).unwrap_or(usize::MAX);
        AddressCaps {
            all: all.min(self.options.connections_max),
            address: self.options.address_connections_max,
        }
    }

    fn take_seat(
        &self,
        seats: &AddressSeats,
        peer: IpAddr,
    ) -> Result<AddressSeat, CrowdedListener> {
        let is_proxy = self.site.is_trusted_proxy(peer) || is_planted(PlantedBug::ConnectionLimit);
        seats.take_seat(peer, is_proxy)
    }

    /// The next connection of `listener`. What keeps it from being taken, such as too many open files, passes: those who
    /// wait would wait in vain.
    async fn accept_connection(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            match listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    warn!(%error, "Could not accept a connection; trying again");
                    self.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Says why a connection is not taken, where it can be said at once: nobody waits for a client.
fn refuse_connection(stream: &TcpStream, crowded: CrowdedListener) {
    debug!("Refused a connection: {crowded}");
    let code = match crowded {
        CrowdedListener::All => ErrorCode::NotReady,
        CrowdedListener::Address { .. } => ErrorCode::TooManyConnections,
    };
    let mut body = ErrorBody::new(code, crowded.to_string());
    body.retry_after = Some(CROWDED_WAIT_S);
    let body = serde_json::to_string(&body).unwrap_or_default();
    let status = code.http_status();
    let answer = format!(
        "HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: {CROWDED_WAIT_S}\r\n\
         connection: close\r\n\r\n{body}",
        body.len(),
    );
    // A connection without an answer is a refusal, too.
    if let Err(error) = stream.try_write(answer.as_bytes()) {
        debug!(%error, "A refused connection was not told why");
    }
}

/// One connection and who is at its other end.
struct NetworkConnection {
    router: Router,
    peer: SocketAddr,
    /// Cancelled when what is asked already is answered, and nothing else.
    stopping: CancellationToken,
    /// Whether anything was asked.
    asked: Arc<AtomicBool>,
    _seat: AddressSeat,
}

impl NetworkConnection {
    async fn serve(
        self,
        stream: TcpStream,
        listener: NetworkListener,
    ) -> Result<(), omoi_runtime::BoxError> {
        let service = service_fn(|request: Request<Incoming>| {
            self.asked.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            // What strangers try is counted by address.
            request.extensions_mut().insert(ConnectInfo(self.peer));
            let router = self.router.clone();
            async move {
                let answer = router.oneshot(request).await;
                Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
            }
        });
        let builder = server_builder_within(
            &listener.clock,
            HeadBounds {
                time_max: listener.options.head_time,
                bytes_max: listener.options.head_bytes,
            },
        );
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection.with_upgrades());
        let mut is_stopping = false;
        loop {
            // The connection is kept, the other is a token.
            tokio::select! {
                served = connection.as_mut() => {
                    if let Err(error) = served {
                        debug!("A connection ended early: {error}");
                    }
                    return Ok(());
                }
                () = self.stopping.cancelled(), if !is_stopping => {
                    // Nobody knows whether it would ever ask.
                    if !self.asked.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
