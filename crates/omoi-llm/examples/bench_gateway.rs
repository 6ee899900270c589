//! What the gateway adds to a streamed answer, beside the same upstream asked without it: until the first
//! content, and for each streamed token; alone, and twenty at once.
//!
//! Prints one line of `key=value` in microseconds; `cargo xtask bench` shows them in its table. The
//! upstream streams from memory, as fast as its reader takes it, so that nothing hides what the gateway costs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::post;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use http::{HeaderMap, Method};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use omoi_domain::attempt::AgentRole;
use omoi_domain::id::{AttemptId, OrgId, ProjectId, SpecId};
use omoi_domain::model_route::RouteName;
use omoi_domain::principal::{CallPurpose, Principal};
use omoi_domain::time::Timestamp;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::gateway::{GatewayRequest, ModelGateway, ReplyBody};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::meter::{
    CallMeter, CallUsage, CostProjection, FallbackNote, ModelCaller, RecordError, ReserveError,
    ReservedCall,
};
use omoi_llm::pace::CallPace;
use omoi_llm::pricing::ModelPrice;
use omoi_llm::route::{ModelRoute, RouteTable};
use omoi_llm::wire::dialect::Dialect;

/// Streamed pieces of one answer, a token each.
const N_TOKENS: usize = 2_000;
const RUNS: usize = 60;
const WARM_UP: usize = 10;
const AT_ONCE: usize = 20;
/// Bytes of the conversation: that of an agent at work.
const REQUEST_BYTES: usize = 100 * 1024;

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The system's clock. Nothing waits here.
struct SystemPace;

impl CallPace for SystemPace {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or_default())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the gateway's guards are measured with the timers that they really have"
    )]
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(pause))
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}

/// Grants everything and keeps nothing: what a database adds is measured elsewhere.
struct OpenMeter;

impl CallMeter for OpenMeter {
    fn reserve_call<'a>(
        &'a self,
        _: &'a ModelCaller,
        _: &'a CostProjection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>> {
        Box::pin(async { Ok(Box::new(UnmeteredCall) as Box<dyn ReservedCall>) })
    }

    fn report_failure<'a>(&'a self, _: &'a ModelCaller, _: &'a FailedTry) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn report_fallback<'a>(&'a self, _: &'a ModelCaller, _: &'a FallbackNote) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn keep_maker<'a>(
        &'a self,
        _: &'a ModelCaller,
        maker: &'a str,
    ) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move { Some(maker.to_owned()) })
    }

    fn save_attempt<'a>(&'a self, _: &'a ModelCaller, _: &'a FailedTry) -> BoxFuture<'a, bool> {
        Box::pin(async { false })
    }
}

struct UnmeteredCall;

impl ReservedCall for UnmeteredCall {
    fn record_usage<'a>(&'a self, _: &'a CallUsage) -> BoxFuture<'a, Result<(), RecordError>> {
        Box::pin(async { Ok(()) })
    }
}

/// How long one answer took.
#[derive(Clone, Copy, Default)]
struct StreamFigures {
    first_us: f64,
    token_us: f64,
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let mut servers = JoinSet::new();
    let upstream = serve(
        &mut servers,
        Router::new().route("/v1/messages", post(stream_answer)),
    )
    .await?;
    let gateway = gateway_to(&upstream)?;
    let front = Router::new().route(
        "/v1/messages",
        post(move |headers: HeaderMap, body: Bytes| pass(gateway.clone(), headers, body)),
    );
    let front = serve(&mut servers, front).await?;
    print!(
        "runs={RUNS} warm_up={WARM_UP} tokens={N_TOKENS} at_once={AT_ONCE} request_bytes={REQUEST_BYTES}"
    );
    for (name, n) in [("one", 1), ("many", AT_ONCE)] {
        // In turns, so that both see the same machine.
        let (mut bare, mut passed) = (Vec::new(), Vec::new());
        for run in 0..WARM_UP + RUNS {
            let pair = (ask_all(&upstream, n).await?, ask_all(&front, n).await?);
            if run >= WARM_UP {
                bare.push(pair.0);
                passed.push(pair.1);
            }
        }
        for (whose, times) in [("bare", &bare), ("gateway", &passed)] {
            let first = median(times.iter().map(|t| t.first_us));
            let token = median(times.iter().map(|t| t.token_us));
            print!(" {name}_{whose}_first_us={first:.1} {name}_{whose}_token_us={token:.3}");
        }
    }
    println!();
    Ok(())
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

async fn serve(servers: &mut JoinSet<()>, router: Router) -> Fallible<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = router.layer(axum::extract::DefaultBodyLimit::disable());
    servers.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            eprintln!("a server ended: {error}");
        }
    });
    Ok(url)
}

fn gateway_to(upstream: &str) -> Fallible<ModelGateway> {
    let simulated = RouteTable::all_simulated(Dialect::Messages, upstream);
    let route = ModelRoute {
        price: ModelPrice::FREE,
        simulated: false,
        ..simulated.route_named(RouteName::Agent).clone()
    };
    let routes = RouteTable::from_table([(RouteName::Agent, route)].into());
    let llm = LlmClient::new(routes.ok_or("no route")?, Arc::new(SystemPace))?;
    Ok(ModelGateway::new(llm, Arc::new(OpenMeter)))
}

fn caller() -> ModelCaller {
    let id = Uuid::from_u128;
    ModelCaller {
        principal: Principal {
            org: OrgId::from_uuid(id(1)),
            project: ProjectId::from_uuid(id(2)),
            spec: SpecId::from_uuid(id(3)),
            purpose: CallPurpose::Attempt(AttemptId::from_uuid(id(4))),
        },
        role: AgentRole::Implementer,
        program: None,
        phase: "work".to_owned(),
        task: None,
        task_type: None,
        title: None,
        round: 1,
    }
}

/// The transport around the gateway, as the server has it.
async fn pass(gateway: ModelGateway, headers: HeaderMap, body: Bytes) -> Response {
    let request = GatewayRequest {
        method: Method::POST,
        path: "/v1/messages".to_owned(),
        headers,
        body,
    };
    let reply = gateway.handle_request(&caller(), request).await;
    let body = match reply.body {
        ReplyBody::Full(bytes) => Body::from(bytes),
        ReplyBody::Events(events) => Body::from_stream(events.map(Ok::<_, Infallible>)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// The bare upstream: one token a piece.
async fn stream_answer(_: Bytes) -> Response {
    let start = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    );
    let token = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" token\"}}\n\n";
    let end = concat!(
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2000}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let pieces = std::iter::once(start)
        .chain(std::iter::repeat_n(token, N_TOKENS))
        .chain(std::iter::once(end));
    // As a model does, it says a token and lets others run.
    let pieces = stream::iter(pieces).then(|piece| async move {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", kind);
    response
}

/// Asks `n` at once; the medians over them.
async fn ask_all(url: &str, n: usize) -> Fallible<StreamFigures> {
    let mut asked = JoinSet::new();
    for _ in 0..n {
        asked.spawn(ask(url.to_owned()));
    }
    let mut times = Vec::new();
    while let Some(one) = asked.join_next().await {
        times.push(one??);
    }
    Ok(StreamFigures {
        first_us: median(times.iter().map(|t| t.first_us)),
        token_us: median(times.iter().map(|t| t.token_us)),
    })
}

async fn ask(url: String) -> Fallible<StreamFigures> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()?;
    let text = "x".repeat(REQUEST_BYTES);
    let body = format!(
        r#"{{"model":"agent","max_tokens":4000,"stream":true,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    let begun = Instant::now();
    let request = client.post(format!("{url}/v1/messages")).body(body);
    let response = request
        .header("content-type", "application/json")
        .send()
        .await?;
    let mut pieces = response.error_for_status()?.bytes_stream();
    let mut first = None;
    let (mut bytes, mut tail) = (0, Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        first.get_or_insert_with(|| begun.elapsed());
        bytes += piece.len();
        tail = piece.to_vec();
    }
    let whole = begun.elapsed();
    // Figures of an answer that was cut would be the best of all.
    if !String::from_utf8_lossy(&tail).contains("message_stop") || bytes < N_TOKENS * 100 {
        return Err(format!("the answer has {bytes} bytes and no end").into());
    }
    let first = first.unwrap_or(whole);
    Ok(StreamFigures {
        first_us: first.as_secs_f64() * 1e6,
        token_us: whole.saturating_sub(first).as_secs_f64() * 1e6 / N_TOKENS as f64,
    })
}
