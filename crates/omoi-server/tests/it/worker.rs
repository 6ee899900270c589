//! What a sandbox is refused.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use futures::stream;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_execution::attempt::CreatedAttempt;
use omoi_execution::intake::{self, AttemptIntake};
use omoi_execution::metering::CallLedger;
use omoi_llm::gateway::{ModelGateway, REQUEST_BYTES_MAX};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::route::RouteTable;
use omoi_llm::wire::dialect::Dialect;
use omoi_server::worker::{WorkerSurface, router};
use omoi_store::attempts;
use omoi_testkit::blocking::without_blocking_thread;
use omoi_testkit::deployment::{KNOWN_SECRET, TestDeployment, ended_report};

use crate::ask::{Route, ask, assert_lists_every_route, get, post, refusal};
use crate::shutdown::StandingPace;

/// How a report of an attempt that is over is answered.
const ENDED: (u16, &str) = (409, "superseded_attempt");
/// Reports of such an attempt that are read all the same.
const READ_LATE: [&str; 3] = ["/events", "/heartbeat", "/complete"];

pub(crate) const REPORTS: [Route; 11] = [
    post("/started").with_body(),
    post("/events").with_body(),
    post("/heartbeat").with_body(),
    get("/messages"),
    post("/messages/ack").with_body(),
    post("/turns").with_body(),
    post("/items").with_body(),
    post("/done"),
    post("/discoveries").with_body(),
    post("/complete").with_body(),
    get("/egress"),
];
/// Of the model gateway: its own paths, by any method.
const MODEL: [&str; 3] = ["/", "/v1", "/v1/{*rest}"];
/// Bytes a report without a bundle may have.
const REPORT_BYTES_MAX: usize = (1 << 20) + (64 << 10);

pub(crate) struct ReportBench {
    pub(crate) test: TestDeployment,
    router: Router,
    pub(crate) live: CreatedAttempt,
}

impl ReportBench {
    pub(crate) async fn new() -> Self {
        let test = TestDeployment::new().await;
        let task = test.add_task(1, &[]).await;
        let live = test.run_task(task.id).await;
        let router = router(WorkerSurface {
            egress: None,
            parts: test.build_part(),
            gateway: Err("set SOME_KEY".to_owned()),
        });
        Self { test, router, live }
    }

    /// Another attempt that runs.
    async fn other(&self) -> CreatedAttempt {
        let task = self.test.add_task(2, &[]).await;
        self.test.run_task(task.id).await
    }

    pub(crate) async fn post(&self, route: &str, body: impl Into<Body>) -> (StatusCode, String) {
        let path = self.path(route);
        let token = Some(self.live.token.as_str());
        ask(&self.router, (&Method::POST, &path), token, body.into()).await
    }

    fn path(&self, route: &str) -> String {
        format!("/api/v1/sandboxes/{}{route}", self.live.attempt.id)
    }
}

#[tokio::test]
async fn every_report_wants_the_token_of_its_own_live_attempt() {
    let (reports, bench) = (REPORTS, ReportBench::new().await);
    let other = bench.other().await;
    let over = {
        let task = bench.test.add_task(3, &[]).await;
        let over = bench.test.run_task(task.id).await;
        let end = ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt);
        let attempt = bench.test.attempt_now(&over.attempt).await;
        intake::complete_attempt(&bench.test.build_part(), &attempt, end)
            .await
            .unwrap();
        over
    };
    let before = attempts::all_live(&mut bench.test.read_tx().await).await;
    for Route { method, at, .. } in &reports {
        let path = bench.path(at);
        let of_over = format!("/api/v1/sandboxes/{}{at}", over.attempt.id);
        for (path, token, expected) in [
            (&path, None, (401, "unauthorized")),
            (&path, Some("made up"), (401, "unauthorized")),
            (&path, Some(other.token.as_str()), (403, "wrong_sandbox")),
            (&of_over, Some(over.token.as_str()), ENDED),
        ] {
            if expected == ENDED && READ_LATE.contains(at) {
                continue;
            }
            // A body that never comes shows that nobody waits for it.
            let never = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
            let said = ask(&bench.router, (method, path), token, never).await;
            let (status, code) = refusal(said);
            assert_eq!((status, code.as_str()), expected, "{method} {path}");
        }
    }
    let after = attempts::all_live(&mut bench.test.read_tx().await).await;
    assert_eq!(before.unwrap(), after.unwrap(), "nothing has changed");
    let listed = reports.iter().map(|route| route.at).chain(MODEL);
    assert_lists_every_route(include_str!("../../src/worker.rs"), listed);
}

#[tokio::test]
async fn what_comes_late_is_answered_and_changes_nothing() {
    let bench = ReportBench::new().await;
    let end = ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt);
    let said = serde_json::to_string(&end).unwrap();
    let other = serde_json::to_string(&ended_report(
        AttemptOutcome::Succeeded,
        AttemptStopReason::CompletionSignal,
    ))
    .unwrap();
    let alive = json!({ "sequence_number": 1, "status": "running" }).to_string();
    let (status, _) = bench.post("/complete", said.clone()).await;
    assert_eq!(status, StatusCode::OK);
    let task = bench.live.attempt.subject.task_id().unwrap();
    let before = bench.test.task_now(task).await;
    let (status, text) = bench.post("/complete", said).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "told again in the same words: {text}"
    );
    for (at, body) in [
        ("/complete", other),
        ("/events", json!({ "events": [] }).to_string()),
    ] {
        let (status, code) = refusal(bench.post(at, body).await);
        assert_eq!((status, code.as_str()), ENDED, "{at}");
    }
    let (status, text) = bench.post("/heartbeat", alive).await;
    assert!(status == StatusCode::OK && text.contains("abort"), "{text}");
    assert_eq!(bench.test.task_now(task).await, before);
}

#[tokio::test]
async fn a_body_that_makes_no_sense_is_refused_in_the_usual_shape() {
    let (reports, bench) = (REPORTS, ReportBench::new().await);
    for Route { at, .. } in reports.iter().filter(|route| route.takes_body) {
        for (body, status) in [("{\"unknown\": 1}", 422), ("[", 400), ("", 400)] {
            let (told, code) = refusal(bench.post(at, body).await);
            assert_eq!(
                (told, code.as_str()),
                (status, "bad_request"),
                "{at} {body}"
            );
        }
    }
}

#[tokio::test]
async fn only_reports_with_a_bundle_may_be_large() {
    let (reports, bench) = (REPORTS, ReportBench::new().await);
    for Route { at, .. } in reports.iter().filter(|route| route.takes_body) {
        let expected = match *at {
            "/turns" | "/complete" => (422, "bad_request"),
            _ => (413, "too_large"),
        };
        let large = json!({ "unknown": "x".repeat(REPORT_BYTES_MAX) }).to_string();
        let (status, code) = refusal(bench.post(at, large).await);
        assert_eq!((status, code.as_str()), expected, "{at}");
    }
}

#[tokio::test]
async fn what_fails_inside_is_told_by_a_number_alone() {
    let bench = ReportBench::new().await;
    let root = bench.test.deployment.data.root_folder().to_owned();
    let mirror = bench
        .test
        .deployment
        .data
        .mirror_path(bench.test.spec.project_id);
    std::fs::remove_dir_all(&mirror).unwrap();
    std::fs::File::create(&mirror).unwrap();
    let turn = json!({
        "turn": { "n": 0, "request_digest": "d", "response": [], "tool_results": [] },
        "snapshot": { "sha": "0".repeat(40), "data_b64": "" },
        "messages": [],
    });
    let (status, text) = bench.post("/turns", turn.to_string()).await;
    assert!(text.contains("the log has it as request "), "{text}");
    assert!(!text.contains(root.to_str().unwrap()), "{text}");
    assert_eq!(refusal((status, text)), (500, "internal".to_owned()));
}

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
async fn a_sandbox_that_sends_too_much_is_told_when_to_go_on() {
    let bench = ReportBench::new().await;
    let other = bench.other().await;
    let send = async |live: &CreatedAttempt, path: &str, body: String| {
        let path = match path.strip_prefix('~') {
            Some(report) => format!("/api/v1/sandboxes/{}{report}", live.attempt.id),
            None => path.to_owned(),
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", live.token))
            .body(Body::from(body))
            .unwrap();
        let response = bench.router.clone().oneshot(request).await.unwrap();
        let after = response.headers().get("retry-after");
        let after = after.map(|value| value.to_str().unwrap().parse::<u64>().unwrap());
        (response.status().as_u16(), after)
    };
    let alive = json!({ "sequence_number": 1, "status": "running" }).to_string();
    let batch = json!({ "events": [] }).to_string();
    for (path, body, allowed, status, pause_s) in [
        ("~/heartbeat", &alive, 10, 200, 6),
        ("~/events", &batch, 600, 200, 1),
        // There is no model here; that is said until it is asked too often.
        ("/v1/messages", &batch, 240, 403, 1),
    ] {
        for _ in 0..allowed {
            let got = send(&bench.live, path, body.clone()).await;
            assert_eq!(got, (status, None), "{path}");
        }
        let got = send(&bench.live, path, body.clone()).await;
        assert_eq!(got, (429, Some(pause_s)), "{path}");
        let got = send(&other, path, body.clone()).await;
        assert_eq!(got.0, status, "another sandbox is counted by itself");
        bench.test.clock.advance(Duration::from_secs(pause_s));
        let got = send(&bench.live, path, body.clone()).await;
        assert_eq!(got.0, status, "{path}: it waited as it was told");
    }
}

#[tokio::test]
async fn a_question_that_is_too_large_is_refused_in_the_dialect_of_its_caller() {
    let bench = ReportBench::new().await;
    let routes = RouteTable::all_simulated(Dialect::Messages, "http://127.0.0.1:9");
    let llm = LlmClient::new(routes, Arc::new(StandingPace)).unwrap();
    let ledger: CallLedger = bench.test.build_part();
    let router = router(WorkerSurface {
        egress: None,
        parts: bench.test.build_part(),
        gateway: Ok(ModelGateway::new(llm, Arc::new(ledger))),
    });
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
    let routes = RouteTable::all_simulated(Dialect::Messages, "http://127.0.0.1:9");
    let llm = LlmClient::new(routes, Arc::new(StandingPace)).unwrap();
    let ledger: CallLedger = bench.test.build_part();
    let router = router(WorkerSurface {
        egress: None,
        parts: bench.test.build_part(),
        gateway: Ok(ModelGateway::new(llm, Arc::new(ledger))),
    });
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
    let routes = RouteTable::all_simulated(Dialect::Messages, "http://127.0.0.1:9");
    let llm = LlmClient::new(routes, Arc::new(StandingPace)).unwrap();
    let ledger: CallLedger = bench.test.build_part();
    let router = router(WorkerSurface {
        egress: None,
        parts: bench.test.build_part(),
        gateway: Ok(ModelGateway::new(llm, Arc::new(ledger))),
    });
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

#[tokio::test]
async fn words_outside_a_closed_set_are_refused_with_those_there_are() {
    let bench = ReportBench::new().await;
    let found = |kind: &str, phase: &str| {
        json!({"discovery_type": kind, "title": "t", "description": "d",
            "spawn_phase_id": phase, "check": null})
    };
    let event = |name: &str| {
        json!({"events": [{"event_id": "01930000-0000-7000-8000-00000000000a",
            "event_type": name, "event_data": {}, "summary": null}]})
    };
    for (route, body, names) in [
        (
            "/discoveries",
            found("whim", "PHASE_TESTING"),
            "missing_requirement",
        ),
        ("/discoveries", found("bug", "PHASE_X"), "PHASE_DEPLOYMENT"),
        ("/events", event("spec.delivered"), "agent.tool_use"),
    ] {
        let (status, text) = bench.post(route, body.to_string()).await;
        assert!(status.is_client_error(), "{route}: {status} {text}");
        assert!(text.contains(names), "{text}");
    }
}

#[tokio::test]
async fn a_secret_that_an_agent_reports_is_not_kept() {
    let bench = ReportBench::new().await;
    let attempt = bench.live.attempt.id;
    let token = bench.live.token.as_str();
    let said = format!("the key is {KNOWN_SECRET}, the token {token}");
    let event = json!({"events": [{
        "event_id": "01930000-0000-7000-8000-00000000000a", "event_type": "agent.assistant_message",
        "event_data": {"text": said.as_str()}, "summary": said.as_str(),
    }]});
    let turn = json!({"turn": {"n": 0, "request_digest": "d",
        "response": [{"type": "text", "text": said.as_str()}],
        "tool_results": [{"type": "tool_result", "content": said.as_str()}]}, "messages": []});
    let end = json!({"outcome": "failed", "stop_reason": "error", "error_class": "agent_error",
        "error_message": said.as_str(), "turns": 1});
    for (route, body) in [("/events", event), ("/turns", turn), ("/complete", end)] {
        let (status, text) = bench.post(route, body.to_string()).await;
        assert!(status.is_success(), "{route}: {status} {text}");
    }
    let mut tx = bench.test.read_tx().await;
    let row = attempts::get(&mut tx, attempt).await.unwrap();
    let kept = [
        format!(
            "{:?}",
            attempts::events(&mut tx, attempt, 0, 10).await.unwrap()
        ),
        format!("{:?}", attempts::turns(&mut tx, attempt).await.unwrap()),
        format!(
            "{:?}",
            omoi_store::events::of_spec(&mut tx, row.spec_id, 0)
                .await
                .unwrap()
        ),
        row.error_message.unwrap(),
    ];
    for kept in kept {
        assert!(kept.contains("the key is ****, the token ****"), "{kept}");
        assert!(
            !kept.contains(KNOWN_SECRET) && !kept.contains(token),
            "{kept}"
        );
    }
}

#[test]
fn a_report_is_masked_off_the_threads_that_serve_others() {
    let (runtime, thread) = without_blocking_thread();
    runtime.block_on(async {
        let bench = ReportBench::new().await;
        let event = json!({"events": [{
            "event_id": "01930000-0000-7000-8000-00000000000a",
            "event_type": "agent.assistant_message",
            "event_data": {"text": KNOWN_SECRET}, "summary": "said",
        }]});
        let posted = bench.post("/events", event.to_string());
        let lifecycle = &bench.test.deployment.lifecycle;
        let released = async {
            while !lifecycle
                .running_names()
                .iter()
                .any(|name| name == "mask a report")
            {
                tokio::task::yield_now().await;
            }
            thread.release();
            std::future::pending::<()>().await;
        };
        let (status, text) =
            tokio::select! { posted = posted => posted, () = released => unreachable!() };
        assert!(status.is_success(), "{status} {text}");
        assert!(
            thread.is_released(),
            "it was masked where others are served"
        );
        let mut tx = bench.test.read_tx().await;
        let kept = attempts::events(&mut tx, bench.live.attempt.id, 0, 10).await;
        assert!(!format!("{kept:?}").contains(KNOWN_SECRET));
    });
}
