//! What the gateway adds to a streamed answer, beside the same upstream asked without it: until the first
//! content, and for each streamed token; alone, and twenty at once.
//!
//! Asked as agents ask it: over the worker socket, with the token of an attempt, each call reserved and recorded
//! in a SQLite file.
//!
//! Prints one line of `key=value` in microseconds; `cargo xtask bench` shows them in its table. The
//! upstream streams from memory, as fast as its reader takes it, so that nothing hides what the gateway costs.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::response::Response;
use axum::routing::post;
use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use reqwest::{Client, ClientBuilder};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use omoi_domain::model_route::RouteName;
use omoi_domain::time::Timestamp;
use omoi_execution::metering::CallLedger;
use omoi_llm::gateway::ModelGateway;
use omoi_llm::llm_client::LlmClient;
use omoi_llm::pace::CallPace;
use omoi_llm::pricing::ModelPrice;
use omoi_llm::route::{ModelRoute, RouteTable};
use omoi_llm::wire::dialect::Dialect;
use omoi_server::worker::WorkerSurface;
use omoi_server::worker_socket::serve_workers;
use omoi_testkit::deployment::TestDeployment;

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

/// The worker surface on a database, with attempts that may ask.
struct BenchedPlatform {
    socket: PathBuf,
    tokens: Vec<String>,
    _deployment: TestDeployment,
    _folder: TempDir,
}

impl BenchedPlatform {
    /// One whose models are at `upstream`.
    async fn start(servers: &mut JoinSet<()>, upstream: &str) -> Fallible<Self> {
        let deployment = TestDeployment::new().await;
        let mut tokens = Vec::new();
        for number in 1..=AT_ONCE {
            let task = deployment.add_task(i64::try_from(number)?, &[]).await;
            tokens.push(deployment.run_task(task.id).await.token);
        }
        let ledger: CallLedger = deployment.build_part();
        let surface = WorkerSurface {
            egress: None,
            parts: deployment.build_part(),
            gateway: Ok(ModelGateway::new(llm_client(upstream)?, Arc::new(ledger))),
        };
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("worker.sock");
        let listener = UnixListener::bind(&socket)?;
        servers.spawn(serve_workers(listener, surface, std::future::pending()));
        Ok(Self {
            socket,
            tokens,
            _deployment: deployment,
            _folder: folder,
        })
    }

    /// The way of an agent to the gateway.
    fn ways(&self) -> Fallible<Vec<ModelWay>> {
        let way = |token: &String| {
            let client = plain_client().unix_socket(self.socket.as_path()).build()?;
            Ok(ModelWay {
                client,
                url: "http://platform".to_owned(),
                token: token.clone(),
            })
        };
        self.tokens.iter().map(way).collect()
    }
}

/// How one asker reaches a model.
#[derive(Clone)]
struct ModelWay {
    client: Client,
    url: String,
    token: String,
}

fn plain_client() -> ClientBuilder {
    Client::builder().no_proxy().tls_certs_only([])
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
    let platform = BenchedPlatform::start(&mut servers, &upstream).await?;
    let front = platform.ways()?;
    let bare: Fallible<Vec<ModelWay>> = (0..AT_ONCE)
        .map(|_| {
            Ok(ModelWay {
                client: plain_client().build()?,
                url: upstream.clone(),
                token: String::new(),
            })
        })
        .collect();
    let upstream = bare?;
    print!(
        "runs={RUNS} warm_up={WARM_UP} tokens={N_TOKENS} at_once={AT_ONCE} request_bytes={REQUEST_BYTES}"
    );
    for (name, n) in [("one", 1), ("many", AT_ONCE)] {
        // In turns, so that both see the same machine.
        let (mut bare, mut passed) = (Vec::new(), Vec::new());
        for run in 0..WARM_UP + RUNS {
            let pair = (ask_all(&upstream[..n]).await?, ask_all(&front[..n]).await?);
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

fn llm_client(upstream: &str) -> Fallible<LlmClient> {
    let simulated = RouteTable::all_simulated(Dialect::Messages, upstream);
    let route = ModelRoute {
        price: ModelPrice::FREE,
        simulated: false,
        ..simulated.route_named(RouteName::Agent).clone()
    };
    let routes = RouteTable::from_table([(RouteName::Agent, route)].into());
    Ok(LlmClient::new(
        routes.ok_or("no route")?,
        Arc::new(SystemPace),
    )?)
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
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", kind);
    response
}

/// Asks all at once; the medians over them.
async fn ask_all(ways: &[ModelWay]) -> Fallible<StreamFigures> {
    let mut asked = JoinSet::new();
    for way in ways {
        asked.spawn(ask(way.clone()));
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

async fn ask(way: ModelWay) -> Fallible<StreamFigures> {
    let text = "x".repeat(REQUEST_BYTES);
    let body = format!(
        r#"{{"model":"agent","max_tokens":4000,"stream":true,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    let begun = Instant::now();
    let request = way.client.post(format!("{}/v1/messages", way.url));
    let response = request
        .body(body)
        .bearer_auth(&way.token)
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
