//! What the model gateway refuses a sandbox.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use futures::stream;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_execution::intake::{self, AttemptIntake};
use omoi_execution::metering::CallLedger;
use omoi_llm::gateway::{ModelGateway, REQUEST_BYTES_MAX};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::route::RouteTable;
use omoi_llm::wire::dialect::Dialect;
use omoi_server::worker::{WorkerSurface, router};
use omoi_testkit::deployment::ended_report;

use crate::report_bench::ReportBench;
use crate::shutdown::StandingPace;

/// Paths of the gateway with the body that a refusal has there: which field holds the code of an error.
const GATEWAY_PATHS: [(Method, &str, &str); 6] = [
    (Method::POST, "/v1/messages", "type"),
    (Method::POST, "/v1/messages/count_tokens", "type"),
    (Method::POST, "/v1/chat/completions", "code"),
    (Method::POST, "/v1/responses", "code"),
    (Method::GET, "/v1/models", "code"),
    (Method::GET, "/", "code"),
];

/// What the gateway of `router` says to a request with `token`: status, the word of `field`, and whether a
/// client is to ask again.
async fn gateway_refusal(
    router: &Router,
    (method, path, field): (Method, &str, &str),
    token: Option<&str>,
    body: Body,
) -> (u16, String, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = router.clone().oneshot(request.body(body).unwrap()).await;
    let response = response.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("request-id"), header("x-request-id"));
    let (status, should_retry) = (response.status().as_u16(), header("x-should-retry"));
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&text).unwrap();
    let word = body["error"][field].as_str();
    let word = word.unwrap_or_else(|| panic!("{path}: {body}"));
    (status, word.to_owned(), should_retry)
}

/// The worker's routes with a gateway whose model nobody serves.
fn router_to_nobody(bench: &ReportBench) -> Router {
    let routes = RouteTable::all_simulated(Dialect::Messages, "http://127.0.0.1:9");
    let llm = LlmClient::new(routes, Arc::new(StandingPace)).unwrap();
    let ledger: CallLedger = bench.test.build_part();
    router(WorkerSurface {
        egress: None,
        parts: bench.test.build_part(),
        gateway: Ok(ModelGateway::new(llm, Arc::new(ledger))),
    })
}

#[tokio::test]
async fn the_gateway_refuses_in_the_dialect_of_its_caller() {
    let bench = ReportBench::new().await;
    let over = bench.other().await;
    let end = ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt);
    let attempt = bench.test.attempt_now(&over.attempt).await;
    intake::complete_attempt(&bench.test.build_part(), &attempt, end)
        .await
        .unwrap();
    for asked in GATEWAY_PATHS {
        let is_anthropic = asked.2 == "type";
        let told = |status: u16, anthropic: &str, openai: &str| {
            let word = if is_anthropic { anthropic } else { openai };
            (status, word.to_owned(), "false".to_owned())
        };
        for (token, expected) in [
            (None, told(401, "authentication_error", "invalid_api_key")),
            (
                Some("made up"),
                told(401, "authentication_error", "invalid_api_key"),
            ),
            (
                Some(over.token.as_str()),
                told(403, "superseded_attempt", "superseded_attempt"),
            ),
            (
                Some(bench.live.token.as_str()),
                told(403, "permission_error", "permission_denied"),
            ),
        ] {
            // A body that never comes shows that nobody waits for it.
            let never = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
            let got = gateway_refusal(&bench.router, asked.clone(), token, never).await;
            assert_eq!(got, expected, "{} {token:?}", asked.1);
        }
    }
}

#[tokio::test]
async fn a_question_that_is_too_large_is_refused_in_the_dialect_of_its_caller() {
    let bench = ReportBench::new().await;
    let router = router_to_nobody(&bench);
    let token = Some(bench.live.token.as_str());
    for (path, field, word) in [
        ("/v1/messages", "type", "request_too_large"),
        ("/v1/responses", "code", "request_too_large"),
    ] {
        let large = Body::from(vec![b' '; REQUEST_BYTES_MAX + 1]);
        let asked = (Method::POST, path, field);
        let got = gateway_refusal(&router, asked, token, large).await;
        assert_eq!(got, (413, word.to_owned(), "false".to_owned()));
    }
}

#[tokio::test]
async fn a_question_that_never_comes_to_its_end_is_refused() {
    let bench = ReportBench::new().await;
    let router = router_to_nobody(&bench);
    let clock = bench.test.clock.clone();
    let body = stream::once(async move {
        clock.advance(Duration::from_mins(1));
        std::future::pending::<Result<String, std::io::Error>>().await
    });
    let token = Some(bench.live.token.as_str());
    let asked = (Method::POST, "/v1/messages", "type");
    let got = gateway_refusal(&router, asked, token, Body::from_stream(body)).await;
    assert_eq!(got, (408, "timeout_error".to_owned(), "true".to_owned()));
}

#[tokio::test]
async fn an_attempt_that_ends_while_its_question_comes_gets_no_answer() {
    let question = json!({"model": "agent", "max_tokens": 10, "input": "Hello.",
        "messages": [{"role": "user", "content": "Hello."}]});
    for (path, field) in [
        ("/v1/messages", "type"),
        ("/v1/chat/completions", "code"),
        ("/v1/responses", "code"),
    ] {
        let bench = ReportBench::new().await;
        let routes = RouteTable::all_simulated(Dialect::Messages, "http://127.0.0.1:9");
        let llm = LlmClient::new(routes, Arc::new(StandingPace)).unwrap();
        let ledger: CallLedger = bench.test.build_part();
        let router = router(WorkerSurface {
            egress: None,
            parts: bench.test.build_part(),
            gateway: Ok(ModelGateway::new(llm, Arc::new(ledger))),
        });
        let part: AttemptIntake = bench.test.build_part();
        let attempt = bench.test.attempt_now(&bench.live.attempt).await;
        let text = question.to_string();
        let body = stream::once(async move {
            let end = ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt);
            intake::complete_attempt(&part, &attempt, end)
                .await
                .unwrap();
            Ok::<_, std::io::Error>(text)
        });
        let token = Some(bench.live.token.as_str());
        let asked = (Method::POST, path, field);
        let got = gateway_refusal(&router, asked, token, Body::from_stream(body)).await;
        assert_eq!(
            got,
            (403, "superseded_attempt".to_owned(), "false".to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_provider_is_never_asked_to_reach_the_web_for_a_sandbox() {
    let bench = ReportBench::new().await;
    let router = router_to_nobody(&bench);
    let token = Some(bench.live.token.as_str());
    let messages = json!([{"role": "user", "content": "Search."}]);
    let tool = |kind: &str| json!([{"type": kind, "name": "web_search"}]);
    for (path, body) in [
        (
            "/v1/messages",
            json!({"model": "agent", "max_tokens": 9, "messages": messages, "tools": tool("web_search_20260209")}),
        ),
        (
            "/v1/chat/completions",
            json!({"model": "agent", "messages": messages, "web_search_options": {}}),
        ),
        (
            "/v1/responses",
            json!({"model": "agent", "input": "Search.", "tools": tool("web_search")}),
        ),
    ] {
        let asked = (Method::POST, path, "type");
        let got = gateway_refusal(&router, asked, token, Body::from(body.to_string())).await;
        let word = "invalid_request_error".to_owned();
        assert_eq!(got, (400, word, "false".to_owned()), "{path}");
    }
}
