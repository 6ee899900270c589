//! One span and one line per request, with an id that the answer carries too.

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use tracing::{Instrument as _, Span, debug, error, field, info, info_span, warn};
use uuid::Uuid;

use omoi_domain::time::Timestamp;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_protocol::error::{REQUEST_ID, is_request_id};
use omoi_runtime::clock::Clocked;
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::rng::Rng;

use crate::error::{InternalCause, RefusalBody};

/// Where access lines are said to come from, so that a filter can name them.
const TARGET: &str = "omoi_server::access";
/// Requests that come all the time and say nothing but that somebody is there.
const HEARTBEATS: [&str; 2] = ["/heartbeat", "/messages"];

/// The same id again, under the name that clients of Anthropic read.
const CLIENT_REQUEST_ID: &str = "request-id";

/// The route of a request that no route takes.
const NO_ROUTE: &str = "none";

/// Where the API is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiDoor {
    /// The socket of the data folder, or a port that only this process's own command line knows: whoever asks may
    /// read the log as well.
    Folder,
    /// An address that this machine alone reaches.
    Loopback,
    /// An address that others reach: the token of the data folder opens nothing there.
    Network,
}

impl ApiDoor {
    /// The door of `address`.
    pub const fn of_address(address: IpAddr) -> Self {
        match address.to_canonical().is_loopback() {
            true => Self::Loopback,
            false => Self::Network,
        }
    }

    /// Whether whoever asks shares a disk with this process, so that paths mean the same to both.
    pub(crate) const fn shares_disk(self) -> bool {
        match self {
            Self::Folder | Self::Loopback => true,
            Self::Network => false,
        }
    }
}

/// Which routes a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestSurface {
    /// What people and programs ask: the API.
    Api(ApiDoor),
    /// What sandboxes report, and the model gateway.
    Worker,
    /// What load balancers and collectors of metrics ask.
    Probe,
}

/// Makes ids of requests, and knows when they came.
#[derive(Clone)]
pub struct RequestIds {
    /// Tells when a request came, and is part of its id.
    clock: Clocked,
    /// The rest of an id.
    rng: Rng,
}

impl RequestIds {
    /// A new id.
    pub(crate) fn new_id(&self) -> Uuid {
        uuid_v7(self.clock.as_ref(), &self.rng)
    }
}

impl FromParts for RequestIds {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            clock: parts.clock.clone(),
            rng: parts.rng.fork(),
        }
    }
}

/// What the access log calls a request.
#[derive(Clone)]
pub(crate) struct LoggedId(pub(crate) String);

/// What a surface needs to log its requests.
#[derive(Clone)]
struct AccessLog {
    surface: RequestSurface,
    ids: RequestIds,
}

/// Gives each request to `router` an id, a span and one line.
pub(crate) fn with_access_log(router: Router, surface: RequestSurface, ids: RequestIds) -> Router {
    let log = AccessLog { surface, ids };
    router.layer(middleware::from_fn_with_state(log, log_request))
}

/// Says on the line of the current request who asks.
pub(crate) fn note_caller(caller: &str) {
    Span::current().record("caller", caller);
}

/// Says on the line of the current request which attempt asks.
pub(crate) fn note_attempt(attempt: &str) {
    let span = Span::current();
    span.record("caller", "attempt")
        .record("attempt.id", attempt);
}

/// A request as its line tells it.
struct SeenRequest {
    surface: RequestSurface,
    method: Method,
    /// The pattern of the route: no id of a row and nothing that somebody typed.
    route: String,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestEnd {
    /// With an answer.
    Answered(StatusCode),
    /// Before its answer: the caller hung up, or the process let go of it.
    Cancelled,
    /// In a handler that panicked.
    Panicked,
}

/// Writes the line of a request when it goes away, also where nothing answers it.
struct PendingLine {
    seen: SeenRequest,
    span: Span,
    clock: Clocked,
    began: Timestamp,
    /// What it is answered with, once that is known.
    status: Option<StatusCode>,
}

impl Drop for PendingLine {
    fn drop(&mut self) {
        let end = match self.status {
            Some(status) => RequestEnd::Answered(status),
            None if std::thread::panicking() => RequestEnd::Panicked,
            None => RequestEnd::Cancelled,
        };
        let ms = self.clock.now().since(self.began).as_millis() as u64;
        self.span.in_scope(|| self.seen.log_line(end, ms));
    }
}

/// How prominent the line of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AccessLevel {
    /// Something is wrong here.
    Warn,
    /// Something changed, or somebody was refused.
    Info,
    /// Somebody only looked, or reports a step.
    Debug,
}

async fn log_request(State(log): State<AccessLog>, mut request: Request, next: Next) -> Response {
    let id = log.request_id(request.headers());
    request.extensions_mut().insert(LoggedId(id.clone()));
    let route = request.extensions().get::<MatchedPath>();
    let seen = SeenRequest {
        surface: log.surface,
        method: request.method().clone(),
        route: route.map_or(NO_ROUTE, MatchedPath::as_str).to_owned(),
    };
    let span = info_span!(
        "request",
        request.id = id,
        caller = field::Empty,
        attempt.id = field::Empty
    );
    let mut line = PendingLine {
        seen,
        span: span.clone(),
        began: log.ids.clock.now(),
        clock: log.ids.clock,
        status: None,
    };
    let response = next.run(request).instrument(span.clone()).await;
    let _request = span.enter();
    line.status = Some(response.status());
    let mut response = name_refusal(response, log.surface, &id);
    if let Ok(id) = HeaderValue::try_from(id) {
        let headers = response.headers_mut();
        if log.surface == RequestSurface::Worker {
            headers.insert(CLIENT_REQUEST_ID, id.clone());
        }
        headers.insert(REQUEST_ID, id);
    }
    response
}

impl AccessLog {
    /// The id that people give their request, so that they find it again; a sandbox gives none.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        match given.filter(|id| self.surface != RequestSurface::Worker && is_request_id(id)) {
            Some(id) => id.to_owned(),
            None => self.ids.new_id().to_string(),
        }
    }
}

/// Writes the id of the request into a refusal. A failure of ours is told in full to the log, and to the caller
/// what it may know: who has the data folder may read the log anyway, while others must not learn paths of the host.
fn name_refusal(mut response: Response, surface: RequestSurface, id: &str) -> Response {
    let cause = response.extensions_mut().remove::<InternalCause>();
    let is_internal = response.status() == StatusCode::INTERNAL_SERVER_ERROR;
    match &cause {
        Some(cause) if is_internal => error!(error = cause.as_str(), "Request {id} failed"),
        Some(cause) => warn!(
            error = cause.as_str(),
            "Request {id} cannot be answered for now"
        ),
        None => {}
    }
    let Some(RefusalBody(mut body)) = response.extensions_mut().remove::<RefusalBody>() else {
        return response;
    };
    id.clone_into(&mut body.request_id);
    if let Some(cause) = cause.filter(|_| is_internal) {
        body.message = match surface {
            RequestSurface::Api(ApiDoor::Folder) => cause.as_str().to_owned(),
            RequestSurface::Api(ApiDoor::Loopback | ApiDoor::Network)
            | RequestSurface::Worker
            | RequestSurface::Probe => {
                format!("something failed on our side; the log has it as request {id}")
            }
        };
        body.detail.clone_from(&body.message);
    }
    if let Ok(text) = serde_json::to_vec(&body) {
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::from(text);
    }
    response
}

impl RequestEnd {
    const fn status(self) -> Option<StatusCode> {
        match self {
            Self::Answered(status) => Some(status),
            Self::Cancelled | Self::Panicked => None,
        }
    }

    /// Its word on the line of the request.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
        }
    }
}

impl SeenRequest {
    fn log_line(&self, end: RequestEnd, ms: u64) {
        let Self {
            surface,
            method,
            route,
        } = self;
        let code = end.status().map(|status| status.as_u16());
        let outcome = end.as_str();
        let told = code.map_or_else(|| outcome.to_owned(), |code| code.to_string());
        // The level of a line is part of its call site.
        match self.access_level(end) {
            AccessLevel::Warn => {
                warn!(target: TARGET, ?surface, %method, route, status = code, outcome, ms, "{method} {route} {told}");
            }
            AccessLevel::Info => {
                info!(target: TARGET, ?surface, %method, route, status = code, outcome, ms, "{method} {route} {told}");
            }
            AccessLevel::Debug => {
                debug!(target: TARGET, ?surface, %method, route, status = code, outcome, ms, "{method} {route} {told}");
            }
        }
    }

    /// A change that a person asked for, and what a known caller was refused, are milestones. What is only looked
    /// at is a step, and so is what an attempt reports: what follows from it has lines of its own. A stranger gets
    /// no line that could push others out of the files.
    fn access_level(&self, end: RequestEnd) -> AccessLevel {
        let is_heartbeat = HEARTBEATS.iter().any(|route| self.route.ends_with(route));
        let is_step = match self.surface {
            RequestSurface::Probe => true,
            RequestSurface::Worker => is_heartbeat,
            RequestSurface::Api(_) => false,
        };
        match end {
            RequestEnd::Panicked => AccessLevel::Warn,
            RequestEnd::Answered(status) if status.is_server_error() => AccessLevel::Warn,
            RequestEnd::Answered(StatusCode::UNAUTHORIZED) => AccessLevel::Debug,
            RequestEnd::Answered(_) if self.route == NO_ROUTE || is_step => AccessLevel::Debug,
            RequestEnd::Answered(status) if status.is_client_error() => AccessLevel::Info,
            RequestEnd::Answered(_) | RequestEnd::Cancelled => match self.surface {
                RequestSurface::Api(_) if self.method != Method::GET => AccessLevel::Info,
                _ => AccessLevel::Debug,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn an_address_of_this_machine_is_told_from_others() {
        for (address, door) in [
            ("127.0.0.1", ApiDoor::Loopback),
            ("127.8.0.1", ApiDoor::Loopback),
            ("::1", ApiDoor::Loopback),
            ("::ffff:127.0.0.1", ApiDoor::Loopback),
            ("0.0.0.0", ApiDoor::Network),
            ("::", ApiDoor::Network),
            ("10.0.0.1", ApiDoor::Network),
        ] {
            assert_eq!(
                ApiDoor::of_address(address.parse().unwrap()),
                door,
                "{address}"
            );
        }
    }

    #[test]
    fn what_changes_something_or_is_refused_stands_out() {
        use AccessLevel::{Debug, Info, Warn};
        use RequestEnd::{Cancelled, Panicked};
        use RequestSurface::{Probe, Worker};
        const API: RequestSurface = RequestSurface::Api(ApiDoor::Network);
        let status = |code| RequestEnd::Answered(StatusCode::from_u16(code).unwrap());
        let turns = "/api/v1/sandboxes/{sandbox}/turns";
        let items = "/api/v1/sandboxes/{sandbox}/items";
        let heartbeat = "/api/v1/sandboxes/{sandbox}/heartbeat";
        let messages = "/api/v1/sandboxes/{sandbox}/messages";
        let cases = [
            (API, Method::POST, "/api/v1/specs", status(200), Info),
            (API, Method::GET, "/api/v1/specs", status(200), Debug),
            (API, Method::GET, "/api/v1/specs/{spec}", status(404), Info),
            // Strangers.
            (API, Method::POST, "/api/v1/specs", status(401), Debug),
            (API, Method::GET, NO_ROUTE, status(401), Debug),
            (API, Method::GET, NO_ROUTE, status(404), Debug),
            (Worker, Method::POST, items, status(401), Debug),
            (API, Method::GET, "/api/v1/specs", status(500), Warn),
            (API, Method::GET, "/api/v1/specs", status(503), Warn),
            (Probe, Method::GET, "/ready", status(200), Debug),
            (Probe, Method::GET, "/ready", status(503), Warn),
            (Probe, Method::GET, "/metrics", status(401), Debug),
            (Worker, Method::POST, turns, status(204), Debug),
            (Worker, Method::POST, items, status(422), Info),
            (Worker, Method::POST, heartbeat, status(409), Debug),
            (Worker, Method::POST, heartbeat, status(500), Warn),
            (Worker, Method::POST, "/v1/{*rest}", status(529), Warn),
            (API, Method::POST, "/api/v1/specs", Cancelled, Info),
            (API, Method::GET, "/api/v1/specs", Cancelled, Debug),
            (Worker, Method::GET, messages, Cancelled, Debug),
            (Worker, Method::POST, "/v1/{*rest}", Cancelled, Debug),
            (Probe, Method::GET, "/ready", Cancelled, Debug),
            (Probe, Method::GET, "/ready", Panicked, Warn),
            (Worker, Method::GET, messages, Panicked, Warn),
        ];
        for (surface, method, route, end, expected) in cases {
            let seen = SeenRequest {
                surface,
                method,
                route: route.to_owned(),
            };
            let level = seen.access_level(end);
            assert_eq!(level, expected, "{surface:?} {route} {end:?}");
        }
    }
}
