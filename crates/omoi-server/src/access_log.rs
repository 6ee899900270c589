//! One span and one line per request, with an id that the answer carries too.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use tracing::{Instrument as _, Span, debug, error, field, info, info_span, warn};

use omoi_execution::{DeploymentParts, FromParts};
use omoi_protocol::error::{ErrorBody, REQUEST_ID};
use omoi_runtime::clock::Clocked;
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::rng::Rng;

use crate::error::InternalCause;

/// Where access lines are said to come from, so that a filter can name them.
const TARGET: &str = "omoi_server::access";
/// Requests that come all the time and say nothing but that somebody is there.
const HEARTBEATS: [&str; 2] = ["/heartbeat", "/messages"];

/// Which routes a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestSurface {
    /// What people ask through the command line, with the token of the data folder.
    Control,
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

impl FromParts for RequestIds {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            clock: parts.clock.clone(),
            rng: parts.rng.fork(),
        }
    }
}

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

async fn log_request(State(log): State<AccessLog>, request: Request, next: Next) -> Response {
    let id = uuid_v7(log.ids.clock.as_ref(), &log.ids.rng).to_string();
    let route = request.extensions().get::<MatchedPath>();
    let seen = SeenRequest {
        surface: log.surface,
        method: request.method().clone(),
        route: route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned()),
    };
    let span = info_span!(
        "request",
        request.id = id,
        caller = field::Empty,
        attempt.id = field::Empty
    );
    let began = log.ids.clock.now();
    let response = next.run(request).instrument(span.clone()).await;
    let _request = span.enter();
    let mut response = match response.extensions().get::<InternalCause>() {
        Some(InternalCause(cause)) => internal_answer(log.surface, &id, cause),
        None => response,
    };
    let ms = log.ids.clock.now().since(began).as_millis() as u64;
    seen.log_line(response.status(), ms);
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Tells a failure of ours in full to the log, and to the caller what it may know: people on this machine may
/// read the log anyway, while a sandbox must not learn paths of the host.
fn internal_answer(surface: RequestSurface, id: &str, cause: &str) -> Response {
    error!(error = cause, "Request {id} failed");
    let message = match surface {
        RequestSurface::Control => cause.to_owned(),
        RequestSurface::Worker | RequestSurface::Probe => {
            format!("something failed on our side; the log has it as request {id}")
        }
    };
    let body = ErrorBody {
        error: "internal".to_owned(),
        message,
        hint: None,
        correlation_id: Some(id.to_owned()),
    };
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

impl SeenRequest {
    fn log_line(&self, status: StatusCode, ms: u64) {
        let Self {
            surface,
            method,
            route,
        } = self;
        let code = status.as_u16();
        // The level of a line is part of its call site.
        match self.access_level(status) {
            AccessLevel::Warn => {
                warn!(target: TARGET, ?surface, %method, route, status = code, ms, "{method} {route} {code}");
            }
            AccessLevel::Info => {
                info!(target: TARGET, ?surface, %method, route, status = code, ms, "{method} {route} {code}");
            }
            AccessLevel::Debug => {
                debug!(target: TARGET, ?surface, %method, route, status = code, ms, "{method} {route} {code}");
            }
        }
    }

    /// A change that a person asked for, and what anybody was refused, are milestones. What is only looked at is
    /// a step, and so is what an attempt reports: what follows from it has lines of its own.
    fn access_level(&self, status: StatusCode) -> AccessLevel {
        let is_heartbeat = HEARTBEATS.iter().any(|route| self.route.ends_with(route));
        match self.surface {
            RequestSurface::Probe => AccessLevel::Debug,
            _ if status.is_server_error() => AccessLevel::Warn,
            RequestSurface::Worker if is_heartbeat => AccessLevel::Debug,
            _ if status.is_client_error() => AccessLevel::Info,
            RequestSurface::Control if self.method != Method::GET => AccessLevel::Info,
            RequestSurface::Control | RequestSurface::Worker => AccessLevel::Debug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_or_is_refused_stands_out() {
        use AccessLevel::{Debug, Info, Warn};
        use RequestSurface::{Control, Probe, Worker};
        let cases = [
            (Control, Method::POST, "/api/v1/specs", 200, Info),
            (Control, Method::GET, "/api/v1/specs", 200, Debug),
            (Control, Method::GET, "/api/v1/specs/{spec}", 404, Info),
            (Control, Method::GET, "none", 401, Info),
            (Control, Method::GET, "/api/v1/specs", 500, Warn),
            (Control, Method::GET, "/api/v1/specs", 503, Warn),
            (Probe, Method::GET, "/ready", 503, Debug),
            (
                Worker,
                Method::POST,
                "/api/v1/sandboxes/{sandbox}/turns",
                204,
                Debug,
            ),
            (
                Worker,
                Method::POST,
                "/api/v1/sandboxes/{sandbox}/items",
                422,
                Info,
            ),
            (
                Worker,
                Method::POST,
                "/api/v1/sandboxes/{sandbox}/heartbeat",
                409,
                Debug,
            ),
            (Worker, Method::POST, "/v1/{*rest}", 529, Warn),
        ];
        for (surface, method, route, status, expected) in cases {
            let seen = SeenRequest {
                surface,
                method,
                route: route.to_owned(),
            };
            let level = StatusCode::from_u16(status).map(|status| seen.access_level(status));
            assert_eq!(level.ok(), Some(expected), "{surface:?} {route} {status}");
        }
    }
}
