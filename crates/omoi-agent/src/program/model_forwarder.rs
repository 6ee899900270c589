//! Passes the model calls of an agent program from a loopback port to the platform's socket, and keeps
//! what the gateway refused: programs say little of it, or call it a success.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use omoi_llm::gateway::{GatewayRefusal, ReplyBody, SUPERSEDED_KIND};
use omoi_llm::wire::dialect::Dialect;
use omoi_llm::wire::headers::{BESIDE_WORK, SHOULD_RETRY};
use omoi_runtime::clock::Clocked;
use omoi_runtime::telemetry::error_chain;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::gateway_record::{ErrorWatch, GatewayRecord, RecordedRefusal, read_refusal};
use super::held_calls::{CallGate, ModelCallNews, has_tools};
use crate::platform_client::{IDLE_MAX, socket_client};
use crate::stop_signal::{AgentStopCause, StopSignal};

/// Bytes of a request; the gateway refuses large ones in the caller's own form.
const REQUEST_BYTES_MAX: usize = 40 << 20;
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a call is asked again that the platform cannot take in: too much comes from this sandbox, or there is no
/// room for its body.
const BUSY_TIME: Duration = Duration::from_mins(2);
/// Last part of the path that counts tokens.
const COUNT_PATH: &str = "/count_tokens";
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
    gate: CallGate,
}

#[derive(Clone)]
struct ForwardState {
    http: reqwest::Client,
    record: GatewayRecord,
    gate: CallGate,
    clock: Clocked,
    stop_signal: StopSignal,
    work_over: CancellationToken,
    token: SecretString,
}

impl ForwardState {
    /// Keeps a refusal of the work; one that says that the attempt is over stops the worker.
    fn note_refusal(&self, refusal: RecordedRefusal, is_work: bool) {
        // As for the worker's own calls. Every call carries the token, so 401 means that it is not
        // known any more.
        if refusal.status == 401 || refusal.kind == SUPERSEDED_KIND {
            self.stop_signal.request_stop(AgentStopCause::Superseded);
        }
        if is_work {
            self.record.note_refusal(refusal);
            self.gate.tell_refusal();
        }
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
            gate: CallGate::default(),
        };
        let state = ForwardState {
            http: socket_client(socket)
                .redirect(reqwest::redirect::Policy::none())
                .pool_idle_timeout(IDLE_MAX)
                .build()?,
            record: forwarder.record.clone(),
            gate: forwarder.gate.clone(),
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

    /// From now on a model call that offers tools waits until the driver lets it go. The driver is told of
    /// these calls and of refusals.
    pub(crate) fn hold_calls(&self) -> UnboundedReceiver<ModelCallNews> {
        self.gate.close()
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
    if has_tools(&body) {
        state.gate.wait_released().await;
    }
    let headers = end_to_end(&parts.headers);
    let (mut pause, began_at) = (PAUSE_MIN, state.clock.now());
    let answer = loop {
        if state.work_over.is_cancelled() {
            // The program is about to be ended; an answer would make it go on.
            return std::future::pending().await;
        }
        let call = state.http.request(parts.method.clone(), url.clone());
        match call
            .headers(headers.clone())
            .body(body.clone())
            .send()
            .await
        {
            Ok(answer) => {
                let waited = state.clock.now().since(began_at);
                match busy_pause(answer.status(), answer.headers()) {
                    // Programs hardly ask again by themselves, and would give up.
                    Some(wait) if waited + wait <= BUSY_TIME => {
                        tracing::info!(status = %answer.status(), "Waiting for the gateway to take a call");
                        state.clock.sleep(wait).await;
                        continue;
                    }
                    _ => break answer,
                }
            }
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
    let is_count = url.path().ends_with(COUNT_PATH);
    let is_beside = answer.headers().contains_key(BESIDE_WORK);
    let is_work = parts.method == Method::POST && !is_count && !is_beside;
    pass_answer(&state, answer, is_work).await
}

/// When to ask again after a refusal of the platform that passes.
fn busy_pause(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let passes = headers.get(SHOULD_RETRY)?.as_bytes() == b"true";
    let told = headers.get(header::RETRY_AFTER);
    let told = told.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let wait = Duration::from_secs(told.unwrap_or_default()).max(PAUSE_MIN);
    (passes && !status.is_success()).then_some(wait)
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

/// Passes `answer` on, and keeps whether a question of the work was answered.
async fn pass_answer(state: &ForwardState, answer: reqwest::Response, is_work: bool) -> Response {
    let status = answer.status();
    let headers = end_to_end(answer.headers());
    let body = if status.is_success() {
        if is_work {
            state.record.clear();
        }
        let mut watch = ErrorWatch::default();
        let noting = state.clone();
        let stream = answer.bytes_stream().inspect(move |chunk| {
            if let Ok(chunk) = chunk
                && let Some(refusal) = watch.watch_chunk(chunk)
            {
                noting.note_refusal(refusal, is_work);
            }
        });
        Body::from_stream(stream)
    } else {
        let body = answer.bytes().await.unwrap_or_default();
        state.note_refusal(read_refusal(status, &body), is_work);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::sync::{Arc, Mutex};

    use axum::http::HeaderValue;
    use omoi_runtime::clock::ManualClock;
    use tokio::net::UnixListener;

    use super::*;

    type Answers = Arc<Mutex<Vec<(u16, &'static [(&'static str, &'static str)])>>>;

    /// A forwarder before a gateway that gives `answers`.
    async fn forwarder_before(
        answers: Answers,
        tasks: &mut JoinSet<()>,
    ) -> (ModelForwarder, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let app = Router::new().fallback(async move || {
            let (status, headers) = answers.lock().unwrap().pop().unwrap();
            let body = r#"{"error": {"type": "overloaded_error", "message": "words"}}"#;
            let mut answer = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                let name = HeaderName::from_static(name);
                answer.headers_mut().insert(name, value.parse().unwrap());
            }
            answer
        });
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        let signals = ForwarderSignals {
            stop_signal: StopSignal::default(),
            work_over: CancellationToken::new(),
            token: "token".to_owned().into(),
        };
        let clock: Clocked = Arc::new(ManualClock::default());
        let forwarder = ModelForwarder::start(&socket, &clock, signals, tasks).await;
        (forwarder.unwrap(), folder)
    }

    async fn ask(forwarder: &ModelForwarder, method: Method, path: &str) -> StatusCode {
        let url = format!("{}{path}", forwarder.base_url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = client.request(method, url).header("x-api-key", "token");
        asked.send().await.unwrap().status()
    }

    #[tokio::test]
    async fn only_the_work_leaves_a_refusal_and_takes_one_back() {
        let beside: &[_] = &[("x-omoi-beside-work", "true")];
        let answers = Answers::default();
        let mut tasks = JoinSet::new();
        let (forwarder, _folder) = forwarder_before(answers.clone(), &mut tasks).await;
        for (status, headers, method, path, is_kept) in [
            (403, beside, Method::POST, "/v1/messages", false),
            (403, &[][..], Method::GET, "/v1/models", false),
            (403, &[], Method::POST, "/v1/messages", true),
            (200, beside, Method::POST, "/v1/messages", true),
            (200, &[], Method::GET, "/v1/models", true),
            (200, &[], Method::POST, "/v1/messages/count_tokens", true),
            (200, &[], Method::POST, "/v1/messages", false),
        ] {
            answers.lock().unwrap().push((status, headers));
            assert_eq!(ask(&forwarder, method, path).await, status);
            let found = forwarder.record().has_refusal();
            assert_eq!(found, is_kept, "{status} {headers:?} {path}");
        }
    }

    #[test]
    fn a_refusal_that_passes_says_when_to_ask_again() {
        let second = Some(Duration::from_secs(1));
        for (status, should_retry, retry_after, wait) in [
            (429, Some("true"), Some("1"), second),
            (503, Some("true"), None, Some(PAUSE_MIN)),
            (503, Some("true"), Some("0"), Some(PAUSE_MIN)),
            // Of the provider, which the gateway has asked again already.
            (429, Some("false"), Some("1"), None),
            (503, None, Some("1"), None),
            (200, Some("true"), Some("1"), None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                (HeaderName::from_static(SHOULD_RETRY), should_retry),
                (header::RETRY_AFTER, retry_after),
            ] {
                headers.extend(value.map(|value| (name, HeaderValue::from_static(value))));
            }
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(busy_pause(status, &headers), wait, "{status} {headers:?}");
        }
    }

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
}
