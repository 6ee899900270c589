//! Answers of the gateway, all in Anthropic's shapes.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::error_chain::ErrorChain;
use crate::llm_client::AskError;
use crate::meter::ReserveError;
use crate::upstream::UpstreamError;
use crate::wire::anthropic::{
    MessagesErrorBody, StreamError, StreamEvent, error_of_status, status_of_error,
};

/// What a person can do about a key that does not work.
const CHECK_KEY: &str = "set a valid key and start again; `omoi doctor` tries it";

/// Set on every answer that a scenario wrote.
pub(super) const SIMULATED: HeaderName = HeaderName::from_static("x-omoi-simulated");

/// An answer for the transport to send.
#[derive(Debug)]
pub struct GatewayReply {
    /// HTTP status of the reply.
    pub status: StatusCode,
    /// Headers, `content-type` among them.
    pub headers: HeaderMap,
    /// Body: whole, or a stream of events.
    pub body: ReplyBody,
}

/// The body of an answer.
pub enum ReplyBody {
    /// The whole body at once.
    Full(Bytes),
    /// Server-sent events as they come. Dropping it abandons the question.
    Events(BoxStream<'static, Bytes>),
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => f.debug_tuple("Full").field(bytes).finish(),
            Self::Events(_) => f.write_str("Events"),
        }
    }
}

impl GatewayReply {
    /// The answer to every question where no model is configured; `why` says what to set.
    pub fn no_model(why: &str) -> Self {
        let says = format!("there is no model to ask: {why}");
        error_reply(StatusCode::FORBIDDEN, "permission_error", &says)
    }

    pub(super) fn without_body(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: ReplyBody::Full(Bytes::new()),
        }
    }

    pub(super) fn json_body(status: StatusCode, body: &impl Serialize) -> Self {
        // Wire types hold only strings, numbers and maps with string keys: they can always be written.
        let text = serde_json::to_vec(body).unwrap_or_default();
        let json = HeaderValue::from_static("application/json");
        Self {
            status,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
            body: ReplyBody::Full(text.into()),
        }
    }

    pub(super) fn event_stream(events: BoxStream<'static, Bytes>) -> Self {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter(headers),
            body: ReplyBody::Events(events),
        }
    }

    pub(super) fn mark_simulated(mut self, simulated: bool) -> Self {
        if simulated {
            self.headers
                .insert(SIMULATED, HeaderValue::from_static("true"));
        }
        self
    }

    fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        if let Some(pause) = pause {
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            self.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        self
    }
}

/// An error of `kind`.
pub(super) fn error_reply(status: StatusCode, kind: &str, message: &str) -> GatewayReply {
    GatewayReply::json_body(status, &MessagesErrorBody::new(kind, message))
}

/// The caller's request is wrong.
pub(super) fn invalid_request(message: String) -> GatewayReply {
    error_reply(StatusCode::BAD_REQUEST, "invalid_request_error", &message)
}

/// The reply when the budget is spent or cannot be checked.
pub(super) fn refusal_reply(refusal: &ReserveError) -> GatewayReply {
    let (status, kind) = match refusal {
        ReserveError::Refused { .. } => (StatusCode::PAYMENT_REQUIRED, "budget_exhausted"),
        ReserveError::Unavailable(_) => {
            tracing::warn!(error = %ErrorChain(refusal), "Refused a question: its budget cannot be checked");
            (StatusCode::SERVICE_UNAVAILABLE, "api_error")
        }
    };
    error_reply(status, kind, &refusal.to_string())
}

/// Why a whole answer is not handed over.
pub(super) const WITHHELD: &str =
    "the answer is withheld: its cost could not be recorded; ask again";
/// Of a kind that clients try again.
pub(super) const WITHHELD_KIND: &str = "api_error";

/// The reply when the cost of an answer could not be recorded. A client may retry: what keeps a
/// database from writing mostly passes.
pub(super) fn withheld_reply() -> GatewayReply {
    error_reply(StatusCode::SERVICE_UNAVAILABLE, WITHHELD_KIND, WITHHELD)
}

/// The reply to a question whose call failed.
pub(super) fn failure_reply(failure: &AskError) -> GatewayReply {
    match (failure, failure.upstream_error()) {
        (AskError::CircuitOpen { retry_after, .. }, _) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            error_reply(status, "overloaded_error", &failure.to_string())
                .with_retry_after(Some(*retry_after))
        }
        (_, Some(upstream)) => {
            let seen = failure_for_caller(upstream);
            let after = match upstream {
                UpstreamError::Status { retry_after, .. } => *retry_after,
                _ => None,
            };
            error_reply(seen.status, &seen.kind, &seen.message).with_retry_after(after)
        }
        (_, None) => error_reply(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout_error",
            &failure.to_string(),
        ),
    }
}

/// An upstream failure in the caller's terms.
pub(super) struct CallerFailure {
    pub(super) status: StatusCode,
    pub(super) kind: String,
    pub(super) message: String,
}

pub(super) fn failure_for_caller(error: &UpstreamError) -> CallerFailure {
    let (status, kind, message) = match error {
        // The caller's own token is fine; it is the platform's key that the provider refuses.
        UpstreamError::Status {
            status: status @ (401 | 403),
            message,
            ..
        } => (
            403,
            "permission_error",
            format!(
                "the provider refused the platform's key with status {status}: {message}; {CHECK_KEY}"
            ),
        ),
        UpstreamError::BadKey => (403, "permission_error", format!("{error}; {CHECK_KEY}")),
        UpstreamError::Status {
            status,
            kind,
            message,
            ..
        } => (*status, kind.as_str(), message.clone()),
        UpstreamError::Silent { .. }
        | UpstreamError::NoContent { .. }
        | UpstreamError::TooLong { .. } => (504, "timeout_error", error.to_string()),
        UpstreamError::Convert(source) => {
            (400, "invalid_request_error", format!("{error}: {source}"))
        }
        UpstreamError::Connect(_)
        | UpstreamError::Broken(_)
        | UpstreamError::Cut
        | UpstreamError::TooLarge { .. }
        | UpstreamError::NotAStream { .. }
        | UpstreamError::Malformed(_)
        | UpstreamError::Unsendable(_) => (502, "api_error", error.to_string()),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = match kind {
        "" => error_of_status(status.as_u16()),
        kind => kind,
    };
    CallerFailure {
        status,
        kind: kind.to_owned(),
        message,
    }
}

/// The error event for a question whose reply has begun. Its kind stands for the status that the reply
/// would have had.
pub(super) fn late_error_event(failure: &AskError) -> StreamEvent {
    let kind_of = |status: StatusCode| error_of_status(status.as_u16()).to_owned();
    let (kind, message) = match (failure, failure.upstream_error()) {
        (AskError::CircuitOpen { .. }, _) => ("overloaded_error".to_owned(), failure.to_string()),
        (_, Some(upstream)) => {
            let seen = failure_for_caller(upstream);
            let is_known = status_of_error(&seen.kind) == Some(seen.status.as_u16());
            let kind = if is_known {
                seen.kind
            } else {
                kind_of(seen.status)
            };
            (kind, seen.message)
        }
        (_, None) => (kind_of(StatusCode::GATEWAY_TIMEOUT), failure.to_string()),
    };
    let MessagesErrorBody { error, extra, .. } = MessagesErrorBody::new(kind, message);
    StreamEvent::Error(StreamError { error, extra })
}
