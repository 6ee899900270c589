//! What people change of tasks: their words, their time, and what they wait for.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH};
use axum::http::{Method, Request};
use futures::future::join;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::block::TaskBlock;
use omoi_domain::task::TaskStatus;
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;

use crate::api::{TOKEN, bench, router_of, second_project, told};

/// Status, `ETag` and body of the answer.
async fn send(
    router: &Router,
    (method, path): (Method, &str),
    meant: Option<&str>,
    body: Value,
) -> (u16, Option<String>, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header(CONTENT_TYPE, "application/json");
    if let Some(meant) = meant {
        request = request.header(IF_MATCH, meant);
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let tag = response.headers().get(ETAG);
    let tag = tag.map(|tag| tag.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (
        status,
        tag,
        serde_json::from_slice(&text).unwrap_or(Value::Null),
    )
}

/// Status and code, or the body of what succeeds.
async fn said(router: &Router, route: (Method, &str), body: Value) -> (u16, String, Value) {
    let (status, _, told) = send(router, route, None, body).await;
    let code = told["error"].as_str().unwrap_or_default().to_owned();
    (status, code, told)
}

fn waits_for(tasks: &[&str]) -> Value {
    json!({ "depends_on": tasks })
}

fn refs(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap().iter();
    items
        .map(|item| item["task_ref"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_task_is_changed_where_it_stands_and_for_the_version_that_was_read() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await.id;
    let path = format!("/tasks/{task}");
    let patch = (Method::PATCH, path.as_str());
    let (_, tag, _) = send(&router, (Method::GET, &path), None, Value::Null).await;
    let body = json!({
        "title": "Labels", "description": "Add labels.", "priority": "CRITICAL",
        "deadline_at": "2027-01-31T17:00:00.000Z", "force_execute": true,
    });
    let (status, next, told) = send(&router, patch.clone(), tag.as_deref(), body).await;
    assert_eq!((status, &told["title"]), (200, &json!("Labels")), "{told}");
    assert_ne!(tag, next);
    let stale = json!({ "title": "Late" });
    let (status, current, told) = send(&router, patch.clone(), tag.as_deref(), stale).await;
    assert_eq!((status, &current), (412, &next), "{told}");
    assert_eq!(told["context"]["current"]["title"], "Labels", "{told}");
    let row = test.task_now(task).await;
    assert!(row.deadline_at.is_some() && row.force_execute, "{row:?}");
    assert_eq!(row.description, "Add labels.");
    for (body, place) in [
        (json!({ "title": null }), "/title"),
        (json!({ "title": " " }), "/title"),
        (json!({ "description": "" }), "/description"),
        (json!({ "priority": "NEVER" }), "/priority"),
        (json!({ "deadline_at": "tomorrow" }), "/deadline_at"),
        (json!({ "status": "completed" }), "/status"),
    ] {
        let (status, _, told) = send(&router, patch.clone(), None, body).await;
        assert_eq!(
            (status, &told["fields"][0]["path"]),
            (422, &json!(place)),
            "{told}"
        );
    }
    let (status, _, _) = send(&router, patch.clone(), None, json!({ "deadline_at": null })).await;
    assert_eq!((status, test.task_now(task).await.deadline_at), (200, None));
    test.run_task(task).await;
    test.leaves_open_attempts();
    let (status, code, _) = said(&router, patch.clone(), json!({ "title": "No" })).await;
    assert_eq!((status, code.as_str()), (409, "at_work"));
    let (status, _, told) = said(&router, patch, json!({ "priority": "LOW" })).await;
    assert_eq!((status, &told["priority"]), (200, &json!("LOW")), "{told}");
}

#[tokio::test]
async fn what_a_task_waits_for_is_added_replaced_and_removed() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await.id;
    for number in 2..=3 {
        test.add_task(number, &[]).await;
    }
    let edges = "/tasks/TSK-001/dependencies";
    let (status, _, told_edges) =
        said(&router, (Method::POST, edges), waits_for(&["TSK-002"])).await;
    assert_eq!(status, 200, "{told_edges}");
    assert_eq!(refs(&told_edges["depends_on"]), ["TSK-002"]);
    assert_eq!(told_edges["is_ready"], false);
    let (status, _, told_edges) =
        said(&router, (Method::PUT, edges), waits_for(&["TSK-003"])).await;
    assert_eq!(
        (status, refs(&told_edges["depends_on"])),
        (200, vec!["TSK-003"])
    );
    assert_eq!(test.task_now(task).await.level, 1);
    let (_, _, other) = told(&router, "/tasks/TSK-003/dependencies").await;
    assert_eq!(refs(&other["blocks"]), ["TSK-001"], "{other}");
    // What would close a cycle is told before, and refused.
    let back = "/tasks/TSK-003/check-circular";
    let (_, _, checked) = said(&router, (Method::POST, back), waits_for(&["TSK-001"])).await;
    assert_eq!(
        checked["cycle"],
        json!(["TSK-003", "TSK-001", "TSK-003"]),
        "{checked}"
    );
    let back = "/tasks/TSK-003/dependencies";
    let (status, code, refused) =
        said(&router, (Method::POST, back), waits_for(&["TSK-001"])).await;
    assert_eq!((status, code.as_str()), (400, "circular_dependency"));
    assert_eq!(refused["context"]["cycle"], checked["cycle"], "{refused}");
    let (_, _, checked) = said(
        &router,
        (Method::POST, "/tasks/TSK-002/check-circular"),
        waits_for(&["TSK-001"]),
    )
    .await;
    assert_eq!(checked, json!({ "is_circular": false, "cycle": [] }));
    // What failed stops what waits for it, until that waits for it no longer.
    let fail = (Method::POST, "/tasks/TSK-003/fail");
    let (status, _, failed) = said(&router, fail, json!({ "reason": "wrong idea" })).await;
    assert_eq!(
        (status, &failed["status"]),
        (200, &json!("failed")),
        "{failed}"
    );
    assert_eq!(
        failed["problem"], "failed by a person: wrong idea",
        "{failed}"
    );
    let stopped = test.task_now(task).await;
    assert!(
        matches!(stopped.blocked_by, Some(TaskBlock::Prerequisite { .. })),
        "{stopped:?}"
    );
    let remove = "/tasks/TSK-001/dependencies/TSK-003";
    let (status, ..) = said(&router, (Method::DELETE, remove), Value::Null).await;
    assert_eq!(status, 204);
    assert_eq!(test.task_now(task).await.status, TaskStatus::Pending);
    let (status, code, _) = said(&router, (Method::DELETE, remove), Value::Null).await;
    assert_eq!((status, code.as_str()), (404, "not_found"));
    let (status, ..) = said(&router, (Method::POST, edges), waits_for(&["TSK-003"])).await;
    assert_eq!(
        (status, test.task_now(task).await.status),
        (200, TaskStatus::Blocked)
    );
}

#[tokio::test]
async fn a_task_waits_for_no_task_of_another_spec_or_of_none() {
    let (test, router) = bench().await;
    let (_, foreign) = second_project(&test).await;
    let foreign = foreign.id.to_string();
    let task = test.add_task(2, &[]).await.id;
    let edges = format!("/tasks/{task}/dependencies");
    for (named, status, code) in [
        (foreign.as_str(), 422, "refused"),
        ("TSK-009", 404, "not_found"),
        ("SPEC-1", 422, "validation_failed"),
    ] {
        let (told, told_code, body) =
            said(&router, (Method::POST, &edges), waits_for(&[named])).await;
        assert_eq!((told, told_code.as_str()), (status, code), "{body}");
    }
    test.run_task(task).await;
    test.leaves_open_attempts();
    let (status, code, _) = said(&router, (Method::POST, &edges), waits_for(&["TSK-001"])).await;
    assert_eq!((status, code.as_str()), (409, "at_work"));
}

async fn two_changes_at_once_close_no_cycle(database: TestDatabase) {
    let test = TestDeployment::on_database(database, |_| {}).await;
    let router = router_of(&test);
    for number in 1..=8 {
        test.add_task(number, &[]).await;
    }
    for first in [1, 3, 5, 7] {
        let (one, two) = (format!("TSK-00{first}"), format!("TSK-00{}", first + 1));
        let edges = |task: &str| format!("/tasks/{task}/dependencies");
        let (there, back) = (edges(&one), edges(&two));
        let (there, back) = join(
            said(&router, (Method::POST, &there), waits_for(&[&two])),
            said(&router, (Method::POST, &back), waits_for(&[&one])),
        )
        .await;
        let mut statuses = [there.0, back.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{there:?} {back:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_changes_at_once_close_no_cycle_on_sqlite() {
    two_changes_at_once_close_no_cycle(omoi_testkit::sqlite::database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_changes_at_once_close_no_cycle_on_postgres() {
    two_changes_at_once_close_no_cycle(omoi_testkit::postgres::database()).await;
}

#[tokio::test]
async fn an_attempt_out_of_time_is_shown_and_ended() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await.id;
    let idle = test.add_task(2, &[]).await.id;
    let attempt = test.run_task(task).await.attempt;
    test.leaves_open_attempts();
    let set = (Method::POST, "/tasks/TSK-001/set-timeout");
    for seconds in [59, 86_401] {
        let body = json!({ "timeout_seconds": seconds });
        let (status, code, _) = said(&router, set.clone(), body).await;
        assert_eq!((status, code.as_str()), (422, "validation_failed"));
    }
    let (status, _, time) = said(&router, set, json!({ "timeout_seconds": 120 })).await;
    assert_eq!(
        (status, &time["limit_seconds"]),
        (200, &json!(120)),
        "{time}"
    );
    test.advance_clock(100);
    let (_, _, time) = told(&router, "/tasks/TSK-001/timeout-status").await;
    assert_eq!(time["attempt_id"], json!(attempt.id), "{time}");
    assert_eq!(
        (&time["elapsed_seconds"], &time["remaining_seconds"]),
        (&json!(100), &json!(20))
    );
    test.advance_clock(80);
    let (_, _, late) = told(&router, "/tasks/timed-out").await;
    assert_eq!(refs(&late["items"]), ["TSK-001"], "{late}");
    let (status, _, ended) = said(
        &router,
        (Method::POST, "/tasks/cleanup-timed-out"),
        Value::Null,
    )
    .await;
    assert_eq!(
        (status, refs(&ended["items"])),
        (200, vec!["TSK-001"]),
        "{ended}"
    );
    assert_eq!(test.task_now(task).await.status, TaskStatus::Pending);
    let (_, _, tries) = told(&router, "/tasks/TSK-001/attempts").await;
    assert_eq!(
        tries["items"][0]["stop_reason"], "max_duration_reached",
        "{tries}"
    );
    let (_, _, late) = told(&router, "/tasks/timed-out").await;
    assert_eq!(late["items"], json!([]));
    let (_, _, receipts) = told(&router, "/tasks/TSK-001/receipts").await;
    assert_eq!(receipts["items"], json!([]));
    // What is over can no longer be cancelled.
    said(
        &router,
        (Method::POST, &format!("/tasks/{idle}/cancel")),
        Value::Null,
    )
    .await;
    let (_, _, open) = told(&router, "/tasks/cancellable").await;
    assert_eq!(refs(&open["items"]), ["TSK-001"], "{open}");
}
