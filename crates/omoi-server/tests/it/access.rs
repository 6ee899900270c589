//! One line per request, and the id that leads from an answer to it.

use std::fs::File;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{Method, Request};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_llm::failed_try::FailedTry;
use omoi_llm::gateway::ModelGateway;
use omoi_llm::llm_client::LlmClient;
use omoi_llm::meter::{
    CallMeter, CostProjection, FallbackNote, ModelCaller, ReserveError, ReservedCall,
};
use omoi_llm::route::RouteTable;
use omoi_llm::wire::dialect::Dialect;
use omoi_protocol::error::{ErrorBody, REQUEST_ID};
use omoi_runtime::telemetry::LogReader;
use omoi_server::ApiDoor;
use omoi_server::probes::ProbeSurface;
use omoi_server::worker::WorkerSurface;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::kept_log::{keep_log, new_lines};

use crate::api::{TOKEN, bench, laptop_site, router_behind, router_of};
use crate::shutdown::StandingPace;

/// Asks, and gives the answer with the lines that were written meanwhile.
async fn ask_logged(
    router: &Router,
    reader: &mut LogReader,
    asked: (Method, &str, Option<&str>),
) -> (String, Option<ErrorBody>, Vec<Value>) {
    send_logged(router, reader, request_of(asked, Body::empty())).await
}

fn request_of((method, path, token): (Method, &str, Option<&str>), body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(HOST, "127.0.0.1:8000");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(body).unwrap()
}

/// As [`ask_logged`], for any request.
async fn send_logged(
    router: &Router,
    reader: &mut LogReader,
    request: Request<Body>,
) -> (String, Option<ErrorBody>, Vec<Value>) {
    let response = router.clone().oneshot(request).await.unwrap();
    let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let body = serde_json::from_slice::<ErrorBody>(&text).ok();
    (id, body, new_lines(reader))
}

fn probes_of(test: &TestDeployment) -> Router {
    let probes = ProbeSurface {
        store: test.deployment.store.clone(),
        running: test.deployment.running.clone(),
        reconcilers: Vec::new(),
        token: TOKEN.to_owned(),
        request_ids: test.build_part(),
        site: laptop_site(),
    };
    omoi_server::probes::router(probes, ApiDoor::Folder)
}

/// Level, route, status and caller of the one line of a request.
type ExpectedLine = (&'static str, &'static str, u64, &'static str);

/// Asks, and expects `expected` to be all that is logged; gives the fields of the request's span.
async fn expect_line(
    router: &Router,
    reader: &mut LogReader,
    asked: (Method, &str, Option<&str>),
    expected: ExpectedLine,
) -> Value {
    let (id, body, mut lines) = ask_logged(router, reader, asked).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = lines.remove(0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let span = line["spans"][0].clone();
    let seen = (
        text(&line["level"]),
        text(&line["route"]),
        line["status"].as_u64(),
        text(&span["caller"]),
    );
    let (level, route, status, caller) = expected;
    assert_eq!(
        seen,
        (level.into(), route.into(), Some(status), caller.into()),
        "{line}"
    );
    assert!(line["ms"].is_u64() && line["method"].is_string(), "{line}");
    assert_eq!(line["outcome"], "answered", "{line}");
    assert_eq!(span["request.id"], id.as_str(), "{line}");
    // A refusal says how it is found again.
    if let Some(body) = body.filter(|_| status >= 400) {
        assert_eq!(body.request_id, id, "{line}");
        assert_eq!(body.detail, body.message);
    }
    span
}

#[tokio::test]
async fn each_request_is_one_line_with_its_route_and_who_asks() {
    let (test, control) = bench().await;
    let task = test.add_task(1, &[]).await;
    let live = test.run_task(task.id).await;
    test.leaves_open_attempts();
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path(), "warn,omoi_server=debug");
    for (asked, expected) in [
        (
            (Method::GET, "/api/v1/tasks/TSK-001", Some(TOKEN)),
            ("DEBUG", "/api/v1/tasks/{task_id}", 200, "owner"),
        ),
        (
            (Method::POST, "/api/v1/tasks/TSK-009/retry", Some(TOKEN)),
            ("INFO", "/api/v1/tasks/{task_id}/retry", 404, "owner"),
        ),
        (
            (Method::GET, "/api/v1/admin/status", Some("made up")),
            ("DEBUG", "/api/v1/admin/status", 401, ""),
        ),
    ] {
        expect_line(&control, &mut reader, asked, expected).await;
    }
    let probes = probes_of(&test);
    let expected = ("DEBUG", "/health", 200, "");
    expect_line(
        &probes,
        &mut reader,
        (Method::GET, "/health", None),
        expected,
    )
    .await;
    let worker = omoi_server::worker::router(WorkerSurface {
        egress: None,
        parts: test.build_part(),
        gateway: Err("set SOME_KEY".to_owned()),
    });
    let path = format!("/api/v1/sandboxes/{}/messages", live.attempt.id);
    let asked = (Method::GET, path.as_str(), Some(live.token.as_str()));
    let expected = (
        "DEBUG",
        "/api/v1/sandboxes/{sandbox}/messages",
        200,
        "attempt",
    );
    let span = expect_line(&worker, &mut reader, asked, expected).await;
    assert_eq!(span["attempt.id"], live.attempt.id.to_string(), "{span}");
}

#[tokio::test]
async fn a_failure_is_told_once_in_full_under_the_id_of_its_answer() {
    let (test, control) = bench().await;
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path(), "warn,omoi_server=debug");
    let mirror = test.deployment.data.mirror_path(test.spec.project_id);
    std::fs::remove_dir_all(&mirror).unwrap();
    File::create(&mirror).unwrap();
    let trace = || (Method::GET, "/api/v1/specs/SPEC-1/trace", Some(TOKEN));
    let (id, body, lines) = ask_logged(&control, &mut reader, trace()).await;
    let body = body.unwrap();
    assert_eq!(body.error, "internal");
    assert_eq!(body.request_id, id);
    let [failure, access] = lines.as_slice() else {
        panic!("a failure is told once: {lines:?}");
    };
    assert_eq!(
        (&failure["level"], &access["level"]),
        (&"ERROR".into(), &"WARN".into())
    );
    assert_eq!(failure["error"], body.message.as_str());
    assert!(body.message.contains(": "), "a chain: {}", body.message);
    for line in [failure, access] {
        assert_eq!(line["spans"][0]["request.id"], id.as_str(), "{line}");
    }
    // Who comes from elsewhere learns where to look, and no path of the host.
    let network = router_behind(&test, ApiDoor::Loopback);
    let (id, body, _) = ask_logged(&network, &mut reader, trace()).await;
    let says = format!("something failed on our side; the log has it as request {id}");
    let body = body.unwrap();
    assert_eq!((body.message, body.detail), (says.clone(), says));
}

/// Expects a failure of `level` with the chain `error`, then the line of its request, both of request `id`.
fn expect_failure(lines: &[Value], id: &str, (level, error): (&str, &str)) {
    let [failure, access] = lines else {
        panic!("a failure is told once: {lines:?}");
    };
    assert_eq!(failure["level"], level, "{failure}");
    assert_eq!(failure["error"], error, "{failure}");
    assert_eq!(access["level"], "WARN", "{access}");
    assert!(access["status"].as_u64() >= Some(500), "{access}");
    for line in [failure, access] {
        assert_eq!(line["spans"][0]["request.id"], id, "{line}");
    }
}

#[tokio::test]
async fn why_a_probe_fails_is_in_the_log_under_the_id_of_its_answer() {
    let test = TestDeployment::new().await;
    let probes = probes_of(&test);
    test.deployment.store.store().close().await;
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path(), "warn,omoi_server=debug");
    for (path, token) in [("/health/ready", None), ("/metrics", Some(TOKEN))] {
        let asked = (Method::GET, path, token);
        let (id, body, lines) = ask_logged(&probes, &mut reader, asked).await;
        let told = body.map(|body| (body.error, body.message, body.retry_after));
        let says = "the database does not answer for now".to_owned();
        let expected = ("not_ready".to_owned(), says, Some(1));
        assert_eq!(told, (path == "/health/ready").then_some(expected));
        let chain = "the database refused: attempted to acquire a connection on a closed pool";
        expect_failure(&lines, &id, ("WARN", chain));
        assert_eq!(lines[1]["route"], path);
    }
}

/// A meter that cannot tell whether a call is granted.
#[derive(Clone, Copy)]
enum BrokenMeter {
    WithoutDatabase,
    Panicking,
}

impl CallMeter for BrokenMeter {
    fn reserve_call<'a>(
        &'a self,
        _: &'a ModelCaller,
        _: &'a CostProjection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>> {
        Box::pin(async move {
            match self {
                Self::WithoutDatabase => {
                    let gone = io::Error::other("the disk is gone");
                    Err(ReserveError::Unavailable(gone.into()))
                }
                Self::Panicking => panic!("a budget below nothing"),
            }
        })
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

#[tokio::test]
async fn a_model_call_that_fails_inside_is_found_by_the_id_of_its_answer() {
    let test = TestDeployment::new().await;
    let task = test.add_task(1, &[]).await;
    let live = test.run_task(task.id).await;
    test.leaves_open_attempts();
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path(), "warn,omoi_server=debug");
    for (meter, expected) in [
        (
            BrokenMeter::WithoutDatabase,
            ("WARN", "the budget cannot be checked: the disk is gone"),
        ),
        (BrokenMeter::Panicking, ("ERROR", "a budget below nothing")),
    ] {
        let routes = RouteTable::all_simulated(Dialect::Messages, "http://127.0.0.1:9");
        let llm = LlmClient::new(routes, Arc::new(StandingPace)).unwrap();
        let worker = omoi_server::worker::router(WorkerSurface {
            egress: None,
            parts: test.build_part(),
            gateway: Ok(ModelGateway::new(llm, Arc::new(meter))),
        });
        let question = json!({
            "model": "agent", "max_tokens": 10,
            "messages": [{"role": "user", "content": "Hello."}]
        });
        let asked = (Method::POST, "/v1/messages", Some(live.token.as_str()));
        let request = request_of(asked, Body::from(question.to_string()));
        let (id, _, lines) = send_logged(&worker, &mut reader, request).await;
        expect_failure(&lines, &id, expected);
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_a_line() {
    let test = TestDeployment::new().await;
    let task = test.add_task(1, &[]).await;
    let live = test.run_task(task.id).await;
    test.leaves_open_attempts();
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path(), "warn,omoi_server=debug");
    let worker = omoi_server::worker::router(WorkerSurface {
        egress: None,
        parts: test.build_part(),
        gateway: Err("set SOME_KEY".to_owned()),
    });
    let path = format!("/api/v1/sandboxes/{}/messages?wait=30", live.attempt.id);
    let asked = (Method::GET, path.as_str(), Some(live.token.as_str()));
    {
        let answer = worker.oneshot(request_of(asked, Body::empty()));
        let mut answer = pin!(answer);
        tokio::select! {
            answer = &mut answer => panic!("there are no messages: {answer:?}"),
            () = test.clock.wait_for_sleepers(1) => {}
        }
        assert_eq!(new_lines(&mut reader), Vec::<Value>::new());
    }
    let lines = new_lines(&mut reader);
    let [line] = lines.as_slice() else {
        panic!("a request is one line: {lines:?}");
    };
    assert_eq!(line["level"], "DEBUG", "{line}");
    assert_eq!(line["outcome"], "cancelled", "{line}");
    assert_eq!(line["route"], "/api/v1/sandboxes/{sandbox}/messages");
    assert_eq!(line.get("status"), None, "{line}");
    let span = &line["spans"][0];
    assert_eq!(span["attempt.id"], live.attempt.id.to_string(), "{line}");
    assert!(span["request.id"].is_string(), "{line}");
}

#[tokio::test]
async fn a_handler_that_panics_leaves_a_line() {
    let test = TestDeployment::with_parts(|parts| {
        parts.render_spec_files = |_, _| panic!("no plan at all");
    })
    .await;
    let control = router_of(&test);
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path(), "warn,omoi_server=debug");
    let asked = (Method::GET, "/api/v1/specs/SPEC-1/export", Some(TOKEN));
    let answer = control.oneshot(request_of(asked, Body::empty()));
    assert!(AssertUnwindSafe(answer).catch_unwind().await.is_err());
    let lines = new_lines(&mut reader);
    let [line] = lines.as_slice() else {
        panic!("a request is one line: {lines:?}");
    };
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(line["outcome"], "panicked", "{line}");
    assert_eq!(line["route"], "/api/v1/specs/{spec_id}/export");
    assert_eq!(line["spans"][0]["caller"], "owner", "{line}");
}
