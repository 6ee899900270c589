//! Passes the model calls of an agent program from a loopback port to the platform's socket, and keeps
//! what the gateway refused: programs say little of it, or call it a success.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use omoi_llm::gateway::{GatewayRefusal, ReplyBody, SUPERSEDED_KIND};
use omoi_llm::upstream::UpstreamError;
use omoi_llm::wire::anthropic::status_of_error;
use omoi_llm::wire::dialect::Dialect;
use omoi_runtime::clock::Clocked;
use omoi_runtime::telemetry::error_chain;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::stop_signal::{AgentStopCause, StopSignal};

/// Bytes of a request; the gateway refuses large ones in the caller's own form.
const REQUEST_BYTES_MAX: usize = 40 << 20;
/// Bytes of a refusal that are looked at.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Bytes of one line of a stream that are looked at; errors are short.
const LINE_BYTES_MAX: usize = 16 << 10;
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Headers that belong to one connection.
const HOP_HEADERS: [HeaderName; 6] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The forwarder of one attempt; clones share its record.
#[derive(Clone, Debug)]
pub(crate) struct ModelForwarder {
    address: SocketAddr,
    record: GatewayRecord,
}

/// The last refusal of the gateway that no later answer made up for.
#[derive(Clone, Debug, Default)]
pub(crate) struct GatewayRecord(Arc<Mutex<Option<RecordedRefusal>>>);

/// Why the gateway gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedRefusal {
    /// HTTP status, that of the error's kind where it came within a stream.
    pub(crate) status: u16,
    /// Kind of the error.
    pub(crate) kind: String,
    /// Words of the gateway.
    pub(crate) message: String,
}

impl RecordedRefusal {
    /// The refusal as the worker's own client would have met it.
    pub(crate) fn into_error(self) -> UpstreamError {
        UpstreamError::Status {
            status: self.status,
            kind: self.kind,
            message: self.message,
            retry_after: None,
        }
    }
}

impl GatewayRecord {
    /// Takes the last refusal.
    pub(crate) fn take_refusal(&self) -> Option<RecordedRefusal> {
        self.lock_record().take()
    }

    /// Whether the last call was refused.
    pub(crate) fn has_refusal(&self) -> bool {
        self.lock_record().is_some()
    }

    fn note_refusal(&self, refusal: RecordedRefusal) {
        *self.lock_record() = Some(refusal);
    }

    fn clear(&self) {
        *self.lock_record() = None;
    }

    fn lock_record(&self) -> std::sync::MutexGuard<'_, Option<RecordedRefusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct ForwardState {
    http: reqwest::Client,
    record: GatewayRecord,
    clock: Clocked,
    stop_signal: StopSignal,
    work_over: CancellationToken,
    token: SecretString,
}

impl ForwardState {
    /// Keeps a refusal; one that says that the attempt is over stops the worker.
    fn note_refusal(&self, refusal: RecordedRefusal) {
        // As for the worker's own calls. Every call carries the token, so 401 means that it is not
        // known any more.
        if refusal.status == 401 || refusal.kind == SUPERSEDED_KIND {
            self.stop_signal.request_stop(AgentStopCause::Superseded);
        }
        self.record.note_refusal(refusal);
    }

    /// Whether every credential of a request is the attempt's token, and there is one.
    fn is_of_attempt(&self, headers: &HeaderMap) -> bool {
        let token = self.token.expose_secret();
        let keys = headers.get_all("x-api-key").iter();
        let keys = keys.map(|key| key.as_bytes() == token.as_bytes());
        let bearers = headers.get_all(header::AUTHORIZATION).iter();
        let bearers = bearers.map(|value| {
            let words = value.to_str().ok().and_then(|text| text.split_once(' '));
            words.is_some_and(|(scheme, word)| {
                scheme.eq_ignore_ascii_case("bearer") && word.trim() == token
            })
        });
        let mut all = keys.chain(bearers).peekable();
        all.peek().is_some() && all.all(|is_token| is_token)
    }
}

/// What a forwarder is told and tells.
#[derive(Clone, Debug)]
pub(crate) struct ForwarderSignals {
    /// Stops the worker when the gateway does not know the attempt any more.
    pub(crate) stop_signal: StopSignal,
    /// Set once the program's work is over: a call that it makes then is never made.
    pub(crate) work_over: CancellationToken,
    /// The attempt's token: nothing is forwarded for a caller without it.
    pub(crate) token: SecretString,
}

/// Why there is no forwarder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwarderError {
    /// The port cannot be opened.
    #[error("could not listen on loopback for the agent program")]
    Listen(#[from] std::io::Error),
    /// The client cannot be made.
    #[error("could not make a client for the platform")]
    Http(#[from] reqwest::Error),
}

impl ModelForwarder {
    /// Listens on a free loopback port and forwards to `socket`, as one of `tasks`. An answer that says
    /// that the attempt is over stops the worker at once.
    pub(crate) async fn start(
        socket: &Path,
        clock: &Clocked,
        signals: ForwarderSignals,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, ForwarderError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let forwarder = Self {
            address: listener.local_addr()?,
            record: GatewayRecord::default(),
        };
        let state = ForwardState {
            http: reqwest::Client::builder()
                .unix_socket(socket)
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            record: forwarder.record.clone(),
            clock: clock.clone(),
            stop_signal: signals.stop_signal,
            work_over: signals.work_over,
            token: signals.token,
        };
        let app = Router::new().fallback(forward_call).with_state(state);
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::warn!(%error, "Model calls of the agent program are not forwarded any more");
            }
        });
        Ok(forwarder)
    }

    /// The address that the program is pointed at, without `/v1`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the gateway refused.
    pub(crate) fn record(&self) -> &GatewayRecord {
        &self.record
    }
}

async fn forward_call(State(state): State<ForwardState>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    // The host is never looked up.
    let Some(url) = model_url(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !state.is_of_attempt(&parts.headers) {
        return refuse_caller(url.path());
    }
    let Ok(body) = axum::body::to_bytes(body, REQUEST_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if state.work_over.is_cancelled() {
        // The program is about to be ended; an answer would make it go on.
        return std::future::pending().await;
    }
    let headers = end_to_end(&parts.headers);
    let mut pause = PAUSE_MIN;
    let answer = loop {
        let call = state.http.request(parts.method.clone(), url.clone());
        match call
            .headers(headers.clone())
            .body(body.clone())
            .send()
            .await
        {
            Ok(answer) => break answer,
            // Not sent yet: the platform is away for a moment, and nothing is asked twice.
            Err(error) if error.is_connect() => {
                tracing::info!(error = %error_chain(&error), "Waiting for the gateway");
            }
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "A model call broke");
                return StatusCode::BAD_GATEWAY.into_response();
            }
        }
        state.clock.sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    };
    pass_answer(&state, answer).await
}

/// The address of a model call, where the path is one: the platform has others, for the worker alone.
fn model_url(path: &str) -> Option<reqwest::Url> {
    // Parsed first, which takes `..` out.
    let url = reqwest::Url::parse(&format!("http://gateway{path}")).ok()?;
    let path = url.path();
    let is_model_path = path == "/" || path == "/v1" || path.starts_with("/v1/");
    is_model_path.then_some(url)
}

/// The gateway's answer to a caller whose token it does not know.
fn refuse_caller(path: &str) -> Response {
    let dialect = match path {
        path if path.starts_with("/v1/chat/") => Dialect::ChatCompletions,
        path if path.starts_with("/v1/responses") => Dialect::Responses,
        _ => Dialect::Messages,
    };
    let reply = GatewayRefusal::unknown_token().into_reply(dialect);
    let body = match reply.body {
        ReplyBody::Full(bytes) => Body::from(bytes),
        ReplyBody::Events(events) => {
            Body::from_stream(events.map(Ok::<_, std::convert::Infallible>))
        }
    };
    (reply.status, reply.headers, body).into_response()
}

async fn pass_answer(state: &ForwardState, answer: reqwest::Response) -> Response {
    let status = answer.status();
    let headers = end_to_end(answer.headers());
    let body = if status.is_success() {
        state.record.clear();
        let mut watch = ErrorWatch::default();
        let noting = state.clone();
        let stream = answer.bytes_stream().inspect(move |chunk| {
            if let Ok(chunk) = chunk
                && let Some(refusal) = watch.watch(chunk)
            {
                noting.note_refusal(refusal);
            }
        });
        Body::from_stream(stream)
    } else {
        let body = answer.bytes().await.unwrap_or_default();
        state.note_refusal(read_refusal(status, &body));
        Body::from(body)
    };
    (status, headers, body).into_response()
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in &HOP_HEADERS {
        kept.remove(name);
    }
    kept
}

fn read_refusal(status: StatusCode, body: &Bytes) -> RecordedRefusal {
    let body = &body[..body.len().min(REFUSAL_BYTES_MAX)];
    let (kind, message) = serde_json::from_slice(body)
        .ok()
        .and_then(|body: Value| read_error(&body))
        .unwrap_or_else(|| ("api_error".to_owned(), format!("status {status}")));
    RecordedRefusal {
        status: status.as_u16(),
        kind,
        message,
    }
}

/// Kind and words of an error object, which is nearly the same in every dialect.
fn read_error(body: &Value) -> Option<(String, String)> {
    let error = body.get("error").filter(|error| error.is_object())?;
    let text = |name| error.get(name).and_then(Value::as_str);
    // Where OpenAI's dialects have a wide type, the code says that the attempt is over.
    let code = text("code").filter(|code| *code == SUPERSEDED_KIND);
    let kind = code
        .or_else(|| text("type"))
        .or_else(|| text("code"))
        .unwrap_or("api_error");
    Some((
        kind.to_owned(),
        text("message").unwrap_or_default().to_owned(),
    ))
}

/// Looks for an error among the events of a stream that began well.
#[derive(Debug, Default)]
struct ErrorWatch {
    line: Vec<u8>,
    is_skipped: bool,
}

impl ErrorWatch {
    /// Looks at the next bytes; gives the last error that ended in them.
    fn watch(&mut self, chunk: &[u8]) -> Option<RecordedRefusal> {
        let mut found = None;
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            self.is_skipped |= self.line.len() + piece.len() > LINE_BYTES_MAX;
            if !self.is_skipped {
                self.line.extend_from_slice(piece);
            }
            if ends {
                if !self.is_skipped {
                    found = error_of_line(&self.line).or(found);
                }
                self.line.clear();
                self.is_skipped = false;
            }
        }
        found
    }
}

fn error_of_line(line: &[u8]) -> Option<RecordedRefusal> {
    let data = line.strip_prefix(b"data:")?;
    // Cheap, for thousands of lines that hold no error.
    if !data.windows(8).any(|part| part == b"\"error\":") {
        return None;
    }
    let body: Value = serde_json::from_slice(data).ok()?;
    let is_failure = body
        .get("response")
        .is_some_and(|response| !response["error"].is_null());
    let body = if is_failure { &body["response"] } else { &body };
    let (kind, message) = read_error(body)?;
    Some(RecordedRefusal {
        status: status_of_error(&kind).unwrap_or(500),
        kind,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_model_paths_are_forwarded() {
        for (path, is_forwarded) in [
            ("/", true),
            ("/v1/messages?beta=true", true),
            ("/v1", true),
            ("/v10/messages", false),
            ("/api/v1/sandboxes/x/complete", false),
            ("/v1/../api/v1/sandboxes/x/complete", false),
            ("/v1/%2e%2e/api/v1/items", false),
        ] {
            assert_eq!(model_url(path).is_some(), is_forwarded, "{path}");
        }
    }

    #[test]
    fn a_superseded_attempt_is_known_in_every_dialect() {
        for body in [
            serde_json::json!({"type": "error", "error": {"type": SUPERSEDED_KIND, "message": "over"}}),
            serde_json::json!({"error": {"type": "invalid_request_error", "code": SUPERSEDED_KIND, "message": "over"}}),
        ] {
            let found = read_refusal(StatusCode::FORBIDDEN, &Bytes::from(body.to_string()));
            assert_eq!((found.status, found.kind.as_str()), (403, SUPERSEDED_KIND));
        }
    }

    #[test]
    fn an_error_within_a_stream_is_found_in_every_dialect() {
        let cases = [
            ("event: ping\ndata: {\"type\": \"ping\"}\n\n", None),
            (
                "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n",
                Some((529, "overloaded_error", "busy")),
            ),
            (
                "data: {\"error\":{\"code\":\"strange\",\"message\":\"no\"}}\n",
                Some((500, "strange", "no")),
            ),
            (
                "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_error\",\"message\":\"slow\"}}}\n",
                Some((429, "rate_limit_error", "slow")),
            ),
            ("data: {\"response\":{\"error\":null}}\n", None),
            // Words of a model, not an error.
            ("data: {\"delta\":{\"text\":\"\\\"error\\\":\"}}\n", None),
        ];
        for (text, want) in cases {
            for size in [1, 7, text.len()] {
                let mut watch = ErrorWatch::default();
                let chunks = text.as_bytes().chunks(size);
                let found = chunks.filter_map(|chunk| watch.watch(chunk)).last();
                let found = found.as_ref();
                let found = found.map(|f| (f.status, f.kind.as_str(), f.message.as_str()));
                assert_eq!(found, want, "{text}");
            }
        }
        let mut watch = ErrorWatch::default();
        let long = format!("data: {}\"error\":\n", "x".repeat(LINE_BYTES_MAX));
        assert_eq!(watch.watch(long.as_bytes()), None);
        assert!(watch.line.is_empty() && !watch.is_skipped);
    }
}
