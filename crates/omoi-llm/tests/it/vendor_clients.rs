//! The vendors' own clients against the simulated model, and against the gateway before it: whole and streamed answers,
//! tools, reasoning that goes back, figures, limits, a retired model, in all three formats, from models of all three.
#![allow(clippy::disallowed_methods, reason = "the clients are what is tested")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use omoi_llm::gateway::{GatewayRequest, ModelGateway, REQUEST_BYTES_MAX, ReplyBody};
use omoi_llm::meter::ModelCaller;
use omoi_llm::route::ModelRoute;
use omoi_llm::wire::dialect::Dialect;
use omoi_llm::wire::headers;
use omoi_testkit::agent_programs::python_clients;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::agent_programs::{ServedScenario, unknown_places};
use crate::support::{TestMeter, VirtualPace, caller, llm_of, route};

const SCENARIO: &str = r#"
version: 1
name: clients of the vendors
rules:
- {when: {task: words}, reply: [{text: Words.}]}
- when: {task: calls}
  reasoning: I think.
  reply:
    - tool: {name: write, input: {path: a.txt, content: "x\n"}}
    - tool: {name: shell, input: {command: ls}}
- when: {task: limited}
  fault:
    status: 429
    retry_after_s: 18000
    times: always
    limits: {requests: {limit: 50, remaining: 0, reset_s: 18000}}
- {when: {task: retired}, fault: {retired_model: true, times: always}}
"#;

/// What the clients printed of the servers at `bases`.
async fn run_clients(bases: &[&str]) -> String {
    let output = Command::new("python3")
        .args(["-c", include_str!("vendor_clients/clients.py")])
        .args(bases)
        .env("PYTHONPATH", python_clients())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    said
}

#[tokio::test]
async fn the_clients_of_both_vendors_understand_every_answer() {
    let served = ServedScenario::start(SCENARIO).await;
    let said = run_clients(&[&served.base]).await;
    insta::assert_snapshot!("what_the_clients_of_both_vendors_saw", said);
    let requests = served.recorder.list_requests();
    let unknown = Dialect::ALL.map(|wire| {
        let requests = requests.iter().filter(|request| request.wire == wire);
        let places: BTreeSet<_> = requests.flat_map(unknown_places).collect();
        (wire, places)
    });
    insta::assert_debug_snapshot!("what_is_not_known_of_the_clients_of_both_vendors", unknown);
}

/// A gateway on a port, as the transport serves it to an attempt.
struct ServedGateway {
    base: String,
    meter: Arc<TestMeter>,
    _serving: JoinSet<()>,
}

impl ServedGateway {
    /// One whose model is at `upstream` and speaks `dialect`.
    async fn start(dialect: Dialect, upstream: &str) -> Self {
        let address = match dialect {
            Dialect::Messages => upstream.to_owned(),
            Dialect::ChatCompletions | Dialect::Responses => format!("{upstream}/v1"),
        };
        let model = ModelRoute {
            model: "simulated".to_owned(),
            simulated: true,
            ..route(dialect, &address)
        };
        let meter = TestMeter::rich();
        let llm = llm_of(model, &VirtualPace::new());
        let gateway = ModelGateway::new(llm, Arc::clone(&meter) as _);
        let app = Router::new().fallback(answer_client).with_state(gateway);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            base,
            meter,
            _serving: serving,
        }
    }
}

/// Answers the attempt whose task the client names.
async fn answer_client(State(gateway): State<ModelGateway>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, REQUEST_BYTES_MAX).await.unwrap();
    let task = parts.headers.get(headers::TASK);
    let caller = ModelCaller {
        task: task.map(|task| task.to_str().unwrap().to_owned()),
        ..caller()
    };
    let asked = GatewayRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
    };
    let reply = gateway.handle_request(&caller, asked).await;
    let body = match reply.body {
        ReplyBody::Full(bytes) => Body::from(bytes),
        ReplyBody::Events(events) => Body::from_stream(events.map(Ok::<Bytes, Infallible>)),
    };
    (reply.status, reply.headers, body).into_response()
}

#[tokio::test]
async fn the_clients_of_both_vendors_understand_the_gateway_whatever_its_model_speaks() {
    let served = ServedScenario::start(SCENARIO).await;
    let mut gateways = Vec::new();
    for dialect in Dialect::ALL {
        gateways.push(ServedGateway::start(dialect, &served.base).await);
    }
    let bases: Vec<&str> = gateways
        .iter()
        .map(|gateway| gateway.base.as_str())
        .collect();
    let said = run_clients(&bases).await;
    insta::assert_snapshot!("what_the_clients_of_both_vendors_saw_of_the_gateway", said);
    for (gateway, dialect) in gateways.iter().zip(Dialect::ALL) {
        // Each of the three asks twice with tools and is answered.
        assert!(gateway.meter.usages().len() >= 6, "{dialect}");
    }
}
