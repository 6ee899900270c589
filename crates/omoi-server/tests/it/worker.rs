//! What a sandbox is refused.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use futures::stream;
use serde_json::json;
use tower::ServiceExt as _;

use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_execution::attempt::CreatedAttempt;
use omoi_execution::intake;
use omoi_store::attempts;
use omoi_testkit::blocking::without_blocking_thread;
use omoi_testkit::deployment::{KNOWN_SECRET, ended_report};

use crate::ask::{Route, ask, assert_lists_every_route, refusal};
use crate::report_bench::{REPORTS, ReportBench};

/// How a report of an attempt that is over is answered.
const ENDED: (u16, &str) = (409, "superseded_attempt");
/// Reports of such an attempt that are read all the same.
const READ_LATE: [&str; 3] = ["/events", "/heartbeat", "/complete"];
/// Of the model gateway: its own paths, by any method.
const MODEL: [&str; 3] = ["/", "/v1", "/v1/{*rest}"];
/// Bytes a report without a bundle may have.
const REPORT_BYTES_MAX: usize = (1 << 20) + (64 << 10);

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
            (&path, None, (401, "unauthenticated")),
            (&path, Some("made up"), (401, "unauthenticated")),
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
    let gateway = include_str!("../../src/worker/model_calls.rs");
    assert_lists_every_route(gateway, MODEL);
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
        for (body, expected) in [
            ("{\"unknown\": 1}", (422, "validation_failed")),
            ("[", (400, "malformed_json")),
            ("", (400, "malformed_json")),
        ] {
            let (status, code) = refusal(bench.post(at, body).await);
            assert_eq!((status, code.as_str()), expected, "{at} {body}");
        }
    }
}

#[tokio::test]
async fn only_reports_with_a_bundle_may_be_large() {
    let (reports, bench) = (REPORTS, ReportBench::new().await);
    for Route { at, .. } in reports.iter().filter(|route| route.takes_body) {
        let expected = match *at {
            "/turns" | "/complete" => (422, "validation_failed"),
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
