//! One line per request, and the id that leads from an answer to it.

use std::fs::File;
use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request};
use omoi_domain::secret_mask::SecretMask;
use omoi_protocol::error::{ErrorBody, REQUEST_ID};
use omoi_runtime::options::LogFormat;
use omoi_runtime::telemetry::{LogFiles, LogOptions, LogReader, ProcessLog};
use omoi_server::probes::ProbeSurface;
use omoi_server::worker::WorkerSurface;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::control::{TOKEN, bench};

/// Keeps the log of this process below `folder`.
fn keep_log(folder: &Path) -> LogReader {
    let log = ProcessLog::start(&LogOptions {
        filter: "off".to_owned(),
        file_filter: "warn,omoi_server=debug".to_owned(),
        format: LogFormat::Text,
        mask: SecretMask::default(),
    })
    .unwrap();
    log.open_file(folder).unwrap();
    LogReader::new(LogFiles::of_data_folder(folder))
}

/// Asks, and gives the answer with the lines that were written meanwhile.
async fn ask_logged(
    router: &Router,
    reader: &mut LogReader,
    (method, path, token): (Method, &str, Option<&str>),
) -> (String, ErrorBody, Vec<Value>) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&text).unwrap_or(ErrorBody {
        error: String::new(),
        message: String::new(),
        hint: None,
        correlation_id: None,
    });
    let mut lines = Vec::new();
    reader
        .read_lines(|line| lines.push(serde_json::from_str(line).unwrap()))
        .unwrap();
    (id, body, lines)
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
    assert_eq!(span["request.id"], id.as_str(), "{line}");
    // Only a failure of ours has to be looked up.
    assert_eq!(body.correlation_id, None);
    span
}

#[tokio::test]
async fn each_request_is_one_line_with_its_route_and_who_asks() {
    let (test, control) = bench().await;
    let task = test.add_task(1, &[]).await;
    let live = test.run_task(task.id).await;
    test.leaves_open_attempts();
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path());
    for (asked, expected) in [
        (
            (Method::GET, "/api/v1/tasks/TSK-001", Some(TOKEN)),
            ("DEBUG", "/api/v1/tasks/{task}", 200, "owner"),
        ),
        (
            (Method::POST, "/api/v1/tasks/TSK-009/retry", Some(TOKEN)),
            ("INFO", "/api/v1/tasks/{task}/retry", 404, "owner"),
        ),
        (
            (Method::GET, "/api/v1/status", Some("made up")),
            ("INFO", "/api/v1/status", 401, ""),
        ),
    ] {
        expect_line(&control, &mut reader, asked, expected).await;
    }
    let probes = omoi_server::probes::router(ProbeSurface {
        store: test.deployment.store.clone(),
        running: test.deployment.running.clone(),
        reconcilers: Vec::new(),
        token: TOKEN.to_owned(),
        request_ids: test.build_part(),
    });
    let expected = ("DEBUG", "/health", 200, "");
    expect_line(
        &probes,
        &mut reader,
        (Method::GET, "/health", None),
        expected,
    )
    .await;
    let worker = omoi_server::worker::router(WorkerSurface {
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
    let mut reader = keep_log(folder.path());
    let mirror = test.deployment.data.mirror_path(test.spec.project_id);
    std::fs::remove_dir_all(&mirror).unwrap();
    File::create(&mirror).unwrap();
    let trace = (Method::GET, "/api/v1/specs/SPEC-1/trace", Some(TOKEN));
    let (id, body, lines) = ask_logged(&control, &mut reader, trace).await;
    assert_eq!(body.error, "internal");
    assert_eq!(body.correlation_id.as_deref(), Some(id.as_str()));
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
}
