//! Answers of the gateway.

use bytes::Bytes;
use futures::stream::BoxStream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::wire::headers::BESIDE_WORK;

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
        Self::json_text(status, text.into())
    }

    /// A whole answer of a model.
    pub(super) fn whole_answer(body: Bytes) -> Self {
        Self::json_text(StatusCode::OK, body)
    }

    fn json_text(status: StatusCode, text: Bytes) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self {
            status,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
            body: ReplyBody::Full(text),
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

    /// It, marked where its question `is_beside` the work of its attempt, as titles are: whether that is answered or
    /// refused says nothing of the work.
    pub(super) fn mark_beside(mut self, is_beside: bool) -> Self {
        if is_beside {
            self.headers
                .insert(BESIDE_WORK, HeaderValue::from_static("true"));
        }
        self
    }

    pub(super) fn mark_simulated(mut self, simulated: bool) -> Self {
        if simulated {
            self.headers
                .insert(SIMULATED, HeaderValue::from_static("true"));
        }
        self
    }
}
