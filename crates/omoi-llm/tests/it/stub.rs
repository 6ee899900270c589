//! A model that says what the test told it to.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use omoi_llm::wire::answer::AnswerAccumulator;
use omoi_llm::wire::anthropic::{StreamEvent, status_of_error};
use omoi_llm::wire::sse::{self, SseDecoder};

/// One scripted answer.
#[derive(Clone)]
pub(crate) enum Says {
    /// A whole answer with a status, one header and a body.
    Plain(u16, Option<(&'static str, String)>, String),
    /// A status and headers without a body.
    Headers(u16, Vec<(&'static str, String)>),
    /// Events, then what happens to the connection.
    Events(Vec<Bytes>, End),
    /// Nothing, ever.
    Nothing,
    /// That, or the vendor's refusal of a question whose tool round lost its thoughts.
    Strict(Box<Says>),
    /// Nothing before it is let, then that.
    Held(watch::Receiver<bool>, Box<Says>),
}

/// What follows the events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The body ends as it should.
    Clean,
    /// The connection is torn down.
    Reset,
    /// Silence.
    Hang,
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Seen {
    /// Whether an Anthropic client wants its answer as one body.
    fn wants_whole(&self) -> bool {
        self.path == "/v1/messages" && self.body["stream"] != true
    }
}

/// What is streamed as `events`, as one body; a part of it is a body that breaks off.
fn whole_of(events: &[u8]) -> Says {
    let json_type = Some(("content-type", "application/json".to_owned()));
    let mut answer = AnswerAccumulator::default();
    for frame in SseDecoder::default().push(events).unwrap_or_default() {
        let Ok(event) = serde_json::from_str::<StreamEvent>(&frame.data) else {
            break;
        };
        if let StreamEvent::Error(error) = &event {
            let status = status_of_error(&error.error.kind).unwrap_or(500);
            return Says::Plain(status, json_type, frame.data);
        }
        if answer.push(&event).is_err() {
            break;
        }
    }
    match answer.finish() {
        Ok(whole) => {
            let body = serde_json::to_string(&whole.response).unwrap();
            Says::Plain(200, json_type, body)
        }
        Err(_) => Says::Plain(200, json_type, "{\"id\": \"msg_1\", ".to_owned()),
    }
}

/// The scripted model.
pub(crate) struct Stub {
    pub(crate) url: String,
    inner: Arc<Inner>,
    _server: JoinSet<()>,
}

struct Inner {
    script: Mutex<VecDeque<Says>>,
    last: Says,
    seen: Mutex<Vec<Seen>>,
    /// Answers whose body is still being asked for.
    open: watch::Sender<usize>,
}

impl Stub {
    /// Says `script` in order, then `last` for ever.
    pub(crate) async fn start(script: Vec<Says>, last: Says) -> Self {
        let inner = Arc::new(Inner {
            script: Mutex::new(script.into()),
            last,
            seen: Mutex::default(),
            open: watch::Sender::new(0),
        });
        let router = Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            inner,
            _server: server,
        }
    }

    /// Always the same.
    pub(crate) async fn always(says: Says) -> Self {
        Self::start(Vec::new(), says).await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.inner.seen.lock().unwrap().len()
    }

    /// Waits until nobody listens to an answer any more.
    pub(crate) async fn left_alone(&self) {
        let mut open = self.inner.open.subscribe();
        open.wait_for(|n| *n == 0).await.unwrap();
    }
}

struct Open(Arc<Inner>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|n| *n -= 1);
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    inner.seen.lock().unwrap().push(Seen {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let wants_whole = inner.seen.lock().unwrap().last().unwrap().wants_whole();
    let mut says = inner.script.lock().unwrap().pop_front();
    inner.open.send_modify(|n| *n += 1);
    let open = Open(Arc::clone(&inner));
    if let Some(Says::Held(mut let_go, then)) = says {
        // Whoever drops the sender ends the test.
        let _ = let_go.wait_for(|let_go| *let_go).await;
        says = Some(*then);
    }
    let mut says = says.unwrap_or_else(|| inner.last.clone());
    if let Says::Strict(then) = says {
        let body = inner.seen.lock().unwrap().last().unwrap().body.clone();
        says = refused_thinking(&body).unwrap_or(*then);
    }
    if let Says::Events(pieces, End::Clean) = &says
        && wants_whole
    {
        says = whole_of(&pieces.concat());
    }
    match says {
        Says::Held(..) | Says::Strict(..) => panic!("answers are wrapped once"),
        Says::Plain(status, header, text) => {
            let mut response = Response::builder().status(status);
            if let Some((name, value)) = header {
                response = response.header(name, value);
            }
            response.body(Body::from(text)).unwrap()
        }
        Says::Headers(status, headers) => {
            let response = Response::builder().status(status);
            let response = headers
                .into_iter()
                .fold(response, |response, (name, value)| {
                    response.header(name, value)
                });
            response.body(Body::empty()).unwrap()
        }
        Says::Nothing => {
            let _open = open;
            std::future::pending().await
        }
        Says::Events(pieces, end) => {
            let pieces = stream::iter(pieces.into_iter().map(Ok));
            let tail: BoxStream<'static, Result<Bytes, std::io::Error>> = match end {
                End::Clean => stream::empty().boxed(),
                End::Reset => {
                    // Yields once, so that what came before is sent.
                    let broken =
                        tokio::task::yield_now().map(|()| Err(std::io::Error::other("torn down")));
                    broken.into_stream().boxed()
                }
                End::Hang => stream::pending().boxed(),
            };
            let body = pieces.chain(tail).inspect(move |_| {
                let _ = &open;
            });
            Response::builder()
                .header("content-type", "text/event-stream; charset=utf-8")
                .body(Body::from_stream(body))
                .unwrap()
        }
    }
}

/// `says`, from a model that refuses what its vendor would.
pub(crate) fn as_strict(says: Says) -> Says {
    Says::Strict(Box::new(says))
}

/// The vendor's refusal of a model that is to think by a budget, and goes on with a tool round that does not
/// begin with its thoughts.
fn refused_thinking(body: &Value) -> Option<Says> {
    if body["thinking"]["type"] != "enabled" {
        let edits = body["context_management"]["edits"].as_array();
        let clears = edits.is_some_and(|edits| !edits.is_empty());
        return clears.then(|| refusal("`clear_thinking` needs `thinking` to be enabled"));
    }
    let messages = body["messages"].as_array()?;
    let is_result = |message: &&Value| {
        message["role"] == "user" && message["content"][0]["type"] == "tool_result"
    };
    messages.last().filter(is_result)?;
    let begins = messages
        .iter()
        .rposition(|m| m["role"] == "user" && !is_result(&m))?;
    let found = &messages[begins + 1]["content"][0]["type"];
    let is_thought = *found == "thinking" || *found == "redacted_thinking";
    (!is_thought).then(|| {
        let at = begins + 1;
        refusal(&format!(
            "messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found {found}. When \
             `thinking` is enabled, a final `assistant` message must start with a thinking block"
        ))
    })
}

fn refusal(message: &str) -> Says {
    let error = json!({"type": "invalid_request_error", "message": message});
    Says::Plain(
        400,
        None,
        json!({"type": "error", "error": error}).to_string(),
    )
}

/// A server that takes connections and drops them.
pub(crate) async fn resetting() -> (String, JoinSet<Infallible>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    (url, server)
}

/// An address nobody listens at.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

pub(crate) fn status(status: u16) -> Says {
    let text = json!({"type": "error", "error": {"type": "some_error", "message": "told you"}});
    Says::Plain(status, None, text.to_string())
}

pub(crate) fn status_after(status: u16, retry_after: impl ToString) -> Says {
    Says::Plain(
        status,
        Some(("retry-after", retry_after.to_string())),
        String::new(),
    )
}

fn events(events: &[Value]) -> Vec<Bytes> {
    let line = |e: &Value| sse::encode_frame(e["type"].as_str(), &e.to_string()).into();
    events.iter().map(line).collect()
}

pub(crate) fn anthropic_start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "stub-1", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 1}}})
}

/// Text and a tool call.
pub(crate) fn anthropic_events() -> Vec<Value> {
    vec![
        anthropic_start(),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block":
            {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"path\":"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "\"a.py\"}"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
            "usage": {"output_tokens": 30}}),
        json!({"type": "message_stop"}),
    ]
}

pub(crate) fn good() -> Says {
    Says::Events(events(&anthropic_events()), End::Clean)
}

/// The first `n` events of a good answer, then `end`.
pub(crate) fn first(n: usize, end: End) -> Says {
    Says::Events(events(&anthropic_events()[..n]), end)
}

/// These Anthropic events.
pub(crate) fn says(list: &[Value]) -> Says {
    Says::Events(events(list), End::Clean)
}

/// These bytes as one stream.
pub(crate) fn raw(bytes: impl Into<Bytes>) -> Says {
    Says::Events(vec![bytes.into()], End::Clean)
}

/// An answer that calls tool `name` with `input`, written as JSON text that need not parse.
pub(crate) fn calls_tool(name: &str, input: &str) -> Says {
    says(&[
        anthropic_start(),
        json!({"type": "content_block_start", "index": 0, "content_block":
            {"type": "tool_use", "id": "toolu_9", "name": name, "input": {}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": input}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ])
}

/// The first chunk of an answer, and no more.
pub(crate) fn chat_chunk(text: &str) -> Says {
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "stub-2",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    raw(sse::encode_frame(None, &chunk.to_string()))
}

/// OpenAI chunks with `texts`, ended by `finish`, usage and the closing line.
pub(crate) fn chat(texts: &[&str], finish: &str) -> Says {
    let chunk = |choices: Value| json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "stub-2", "choices": choices});
    let mut out = String::new();
    for text in texts {
        let choices = json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]);
        out += &sse::encode_frame(None, &chunk(choices).to_string());
    }
    let choices = json!([{"index": 0, "delta": {}, "finish_reason": finish}]);
    out += &sse::encode_frame(None, &chunk(choices).to_string());
    let mut usage = chunk(json!([]));
    usage["usage"] = json!({"prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57,
        "prompt_tokens_details": {"cached_tokens": 10}});
    out += &sse::encode_frame(None, &usage.to_string());
    out += &sse::encode_frame(None, "[DONE]");
    raw(out)
}
