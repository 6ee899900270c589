//! Tickets that people write, change, move, link and comment on.

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH, LOCATION};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::actor::Actor;
use omoi_domain::id::CommentId;
use omoi_domain::merge::IntegrationState;
use omoi_domain::task::TaskStatus;
use omoi_execution::commands::{self, CommentOfTicket, TicketCommandError};
use omoi_store::tasks;
use omoi_store::tickets::{self, Ticket};
use omoi_testkit::sample_rows;

use crate::api::{TOKEN, bench};
use crate::versions::{send, show};

const BASE: &str = "/api/v1";

/// A request with a body, and the version that it is meant for.
pub(crate) fn request(
    method: Method,
    path: &str,
    body: &Value,
    meant: Option<&str>,
) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{BASE}{path}"))
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header(CONTENT_TYPE, "application/json");
    if let Some(meant) = meant {
        request = request.header(IF_MATCH, meant);
    }
    request.body(Body::from(body.to_string())).unwrap()
}

/// Status and body of the answer to a change.
pub(crate) async fn post(router: &Router, path: &str, body: Value) -> (u16, Value) {
    let (status, _, told) = send(router, request(Method::POST, path, &body, None)).await;
    (status, told)
}

/// Writes a ticket, and gives it as it is answered.
pub(crate) async fn write_ticket(router: &Router, title: &str) -> Value {
    let (status, told) = post(router, "/tickets", json!({ "title": title })).await;
    assert_eq!(status, 201, "{told}");
    told
}

pub(crate) fn told_error(said: &(u16, Value)) -> (u16, &str) {
    (said.0, said.1["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_ticket_is_written_once_and_found_by_its_reference() {
    let (test, router) = bench().await;
    let body = json!({
        "title": " Export\ntodos ", "description": "As CSV.", "labels": ["export", "export"], "priority": "HIGH",
        "project_id": test.spec.project_id, "dependencies": ["TKT-001"],
    });
    let asked = request(Method::POST, "/tickets", &body, None);
    let response = router.clone().oneshot(asked).await.unwrap();
    assert_eq!(response.status().as_u16(), 201);
    let at = response.headers()[LOCATION].to_str().unwrap().to_owned();
    let (status, tag, shown) = send(&router, show(&at)).await;
    assert_eq!((status, tag.as_deref()), (200, Some("\"0\"")), "{shown}");
    let expected = json!({
        "title": "Export todos", "status": "backlog", "phase_id": "PHASE_BACKLOG", "spec_id": null,
        "approval_status": "approved", "is_blocked": false, "labels": ["export"], "version": 0,
        "dependencies": { "blocked_by": ["TKT-001"], "blocks": [] }, "task_counts": { "total": 0, "completed": 0 },
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[field], value, "{field}: {shown}");
    }
    assert!(shown["user_id"].is_string(), "{shown}");
    // The one that it waits for, which is of a plan.
    let (_, _, planned) = send(&router, show(&format!("{BASE}/tickets/TKT-001"))).await;
    assert_eq!(planned["spec_ref"], "SPEC-1", "{planned}");
    assert_eq!(
        planned["dependencies"]["blocks"],
        json!([shown["ticket_ref"]])
    );

    let again = json!({ "title": "EXPORT todos", "description": " as  csv." });
    let said = post(&router, "/tickets", again.clone()).await;
    assert_eq!(told_error(&said), (409, "duplicate_candidate"));
    let candidate = &said.1["context"]["candidates"][0];
    assert_eq!(candidate["ticket_ref"], shown["ticket_ref"], "{said:?}");
    let (status, found) = post(&router, "/tickets/check-duplicates", again.clone()).await;
    assert_eq!((status, &found["method"]), (200, &json!("hash")), "{found}");
    assert_eq!(found["is_duplicate"], true, "{found}");
    let mut forced = again;
    forced["force_create"] = json!(true);
    assert_eq!(post(&router, "/tickets", forced).await.0, 201);
    let listed = format!("{BASE}/tickets?status=backlog&q=export&include_total=true");
    let (_, _, listed) = send(&router, show(&listed)).await;
    assert_eq!(listed["total"], 2, "{listed}");
    let same = send(
        &router,
        show(&format!("{BASE}/tickets/list?spec_id=SPEC-1")),
    )
    .await;
    assert_eq!(same.2["items"][0]["ticket_ref"], "TKT-001", "{same:?}");
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn what_a_ticket_cannot_have_is_refused_field_by_field() {
    let (_test, router) = bench().await;
    let stranger = "01930000-0000-7000-8000-00000000abcd";
    for (body, status, code, place) in [
        (json!({}), 422, "validation_failed", ""),
        (json!({ "title": "\n" }), 422, "validation_failed", "/title"),
        (
            json!({ "title": "a", "labels": [""] }),
            422,
            "validation_failed",
            "/labels",
        ),
        (
            json!({ "title": "a", "status": "done" }),
            422,
            "unknown_field",
            "/status",
        ),
        (
            json!({ "title": "a", "approval_status": "approved" }),
            422,
            "unknown_field",
            "/approval_status",
        ),
        (
            json!({ "title": "a", "org_id": stranger }),
            422,
            "unknown_field",
            "/org_id",
        ),
        (
            json!({ "title": "a", "assignee_id": stranger }),
            422,
            "validation_failed",
            "",
        ),
        (
            json!({ "title": "a", "project_id": stranger }),
            404,
            "not_found",
            "",
        ),
        (
            json!({ "title": "a", "dependencies": ["TKT-099"] }),
            404,
            "not_found",
            "",
        ),
        (
            json!({ "title": "a", "dependencies": ["SPEC-1"] }),
            422,
            "validation_failed",
            "ticket_id",
        ),
        (
            json!({ "title": "a", "phase_id": "PHASE_SKETCH" }),
            422,
            "validation_failed",
            "/phase_id",
        ),
        (
            json!({ "title": "a", "phase_id": "PHASE_TESTING" }),
            409,
            "invalid_transition",
            "",
        ),
    ] {
        let said = post(&router, "/tickets", body.clone()).await;
        assert_eq!(told_error(&said), (status, code), "{body}: {said:?}");
        let found = said.1["fields"][0]["path"].as_str().unwrap_or_default();
        assert_eq!(found, place, "{body}: {said:?}");
    }
    // Whoever may force begins a ticket where its work begins.
    let body = json!({ "title": "a", "phase_id": "PHASE_IMPLEMENTATION" });
    let (status, told) = post(&router, "/tickets", body).await;
    assert_eq!(
        (status, &told["status"]),
        (201, &json!("building")),
        "{told}"
    );
    // By hand it goes there, where nothing is against it.
    let written = write_ticket(&router, "b").await;
    let path = format!("/tickets/{}", written["id"].as_str().unwrap());
    for (phase, success) in [("PHASE_DESIGN", true), ("PHASE_TESTING", false)] {
        let (_, _, told) = send(
            &router,
            show(&format!("{BASE}{path}/can-transition/{phase}")),
        )
        .await;
        assert_eq!(told["success"], success, "{told}");
    }
    let design = json!({ "to_phase": "PHASE_DESIGN" });
    let (_, told) = post(&router, &format!("{path}/phase-transition"), design).await;
    assert_eq!(
        (&told["to_status"], &told["from_phase"]),
        (&json!("analyzing"), &json!("PHASE_BACKLOG"))
    );
    let (_, told) = post(&router, &format!("{path}/fast-track"), json!({})).await;
    assert_eq!(
        (&told["to_phase"], &told["success"]),
        (&json!("PHASE_IMPLEMENTATION"), &json!(true))
    );
}

#[tokio::test]
async fn a_change_is_meant_for_a_version_and_told_in_the_history() {
    let (test, router) = bench().await;
    let ticket = write_ticket(&router, "Export").await;
    let path = format!("/tickets/{}", ticket["id"].as_str().unwrap());
    let patch = async |body: Value, meant: Option<&str>| {
        let (status, _, told) = send(&router, request(Method::PATCH, &path, &body, meant)).await;
        (status, told)
    };
    let me = ticket["user_id"].clone();
    let changed = patch(
        json!({ "title": "Import", "assignee_id": me, "priority": "LOW", "status": "analyzing" }),
        Some("\"0\""),
    )
    .await;
    assert_eq!(
        (changed.0, &changed.1["assignee_id"]),
        (200, &me),
        "{changed:?}"
    );
    assert_eq!(changed.1["phase_id"], "PHASE_REQUIREMENTS", "{changed:?}");
    let stale = patch(json!({ "title": "Other" }), Some("\"0\"")).await;
    assert_eq!(told_error(&stale), (412, "stale_version"));
    assert_eq!(stale.1["context"]["current_version"], changed.1["version"]);
    test.advance_clock(1);
    let cleared = patch(json!({ "assignee_id": null }), None).await;
    assert_eq!(cleared.1["assignee_id"], Value::Null, "{cleared:?}");
    for (body, status, code) in [
        (json!({ "title": null }), 422, "validation_failed"),
        (json!({ "status": "done" }), 409, "invalid_transition"),
        (json!({ "is_super_admin": true }), 422, "unknown_field"),
        (
            json!({ "approval_status": "approved" }),
            422,
            "unknown_field",
        ),
    ] {
        let said = patch(body.clone(), None).await;
        assert_eq!(told_error(&said), (status, code), "{body}: {said:?}");
    }
    let (_, _, history) = send(&router, show(&format!("{BASE}{path}/history"))).await;
    let entries = history["items"].as_array().unwrap();
    let mut told: Vec<String> = entries
        .iter()
        .map(|entry| {
            assert_eq!(entry["actor"]["kind"], "user", "{entry}");
            let (from, to) = (&entry["from_value"], &entry["to_value"]);
            format!("{} {from} {to}", entry["field"].as_str().unwrap())
        })
        .collect();
    assert_eq!(told.pop(), Some(format!("assignee {me} null")));
    // What changed at once has no order.
    told.sort();
    assert_eq!(
        told,
        [
            format!("assignee null {me}"),
            "phase \"PHASE_BACKLOG\" \"PHASE_REQUIREMENTS\"".to_owned(),
            "priority \"MEDIUM\" \"LOW\"".to_owned(),
            "status \"backlog\" \"analyzing\"".to_owned(),
        ]
    );
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn a_gate_holds_a_ticket_until_its_tasks_are_merged_or_somebody_says_why_not() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let go = async |to: &str, more: Value| {
        let mut body = json!({ "to_status": to });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        post(&router, "/tickets/TKT-001/transition", body).await
    };
    let held = go("building-done", json!({})).await;
    assert_eq!(told_error(&held), (409, "gate_not_met"));
    let (_, _, gate) = send(
        &router,
        show(&format!("{BASE}/tickets/TKT-001/gate-status")),
    )
    .await;
    let (_, looked) = post(&router, "/tickets/TKT-001/check-advance", json!({})).await;
    for told in [&gate, &looked] {
        let (success, to) = (&told["success"], &told["to_phase"]);
        assert_eq!(
            (success, to),
            (&json!(false), &json!("PHASE_TESTING")),
            "{told}"
        );
        assert_eq!(
            told["blocking_reasons"].as_array().unwrap().len(),
            1,
            "{told}"
        );
    }
    let fast = post(&router, "/tickets/TKT-001/complete", json!({})).await;
    assert_eq!(told_error(&fast), (409, "gate_not_met"));
    let reasons = &held.1["context"]["blocking_reasons"];
    assert_eq!(
        *reasons,
        json!(["1 of its 1 tasks are not completed and merged"])
    );
    let unsaid = go("building-done", json!({ "force": true, "reason": " " })).await;
    assert_eq!(told_error(&unsaid), (422, "validation_failed"));
    let (status, block) = post(
        &router,
        "/tickets/TKT-001/block",
        json!({ "blocker_type": "environment" }),
    )
    .await;
    assert_eq!(
        (status, &block["is_blocked"]),
        (200, &json!(true)),
        "{block}"
    );
    assert_eq!(
        post(
            &router,
            "/tickets/TKT-001/block",
            json!({ "blocker_type": "weather" })
        )
        .await
        .0,
        422
    );
    // A move lets it go on, a refused one does not.
    assert_eq!(go("testing", json!({})).await.0, 409);
    let forced = go(
        "building-done",
        json!({ "force": true, "reason": "by hand" }),
    )
    .await;
    assert_eq!(
        (forced.0, &forced.1["is_blocked"]),
        (200, &json!(false)),
        "{forced:?}"
    );
    let back = post(
        &router,
        "/tickets/TKT-001/regress",
        json!({ "feedback": "commas" }),
    )
    .await;
    assert_eq!(
        (back.0, &back.1["status"]),
        (200, &json!("building")),
        "{back:?}"
    );
    let not_back = post(
        &router,
        "/tickets/TKT-001/regress",
        json!({ "feedback": "x" }),
    )
    .await;
    assert_eq!(told_error(&not_back), (409, "invalid_transition"));
    test.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::Completed;
        task.integration_state = IntegrationState::Merged;
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    for expected in ["testing", "done"] {
        let moved = post(&router, "/tickets/TKT-001/progress", json!({})).await;
        assert_eq!(
            (moved.0, &moved.1["status"]),
            (200, &json!(expected)),
            "{moved:?}"
        );
    }
    let over = post(&router, "/tickets/TKT-001/progress", json!({})).await;
    assert_eq!(told_error(&over), (409, "invalid_transition"));
    let reopened = go("building", json!({ "force": true, "reason": "more" })).await;
    assert_eq!(told_error(&reopened), (409, "invalid_transition"));
}

#[tokio::test]
async fn tickets_never_wait_for_each_other() {
    let (test, router) = bench().await;
    for title in ["a", "b"] {
        write_ticket(&router, title).await;
    }
    let (_, _, listed) = send(&router, show(&format!("{BASE}/tickets?sort=number"))).await;
    let names = listed["items"].as_array().unwrap().iter();
    let names: Vec<String> = names
        .map(|item| item["ticket_ref"].as_str().unwrap().to_owned())
        .collect();
    let [first, second, third] = names.as_slice() else {
        panic!("{names:?}")
    };
    let wait = async |waiting: &str, on: &str| {
        let body = json!({ "depends_on": on });
        post(&router, &format!("/tickets/{waiting}/dependencies"), body).await
    };
    assert_eq!(wait(first, second).await.0, 200);
    assert_eq!(wait(second, third).await.0, 200);
    let circular = wait(third, first).await;
    assert_eq!(told_error(&circular), (400, "circular_dependency"));
    assert_eq!(
        circular.1["context"]["cycle"],
        json!([third, second, first, third])
    );
    assert_eq!(
        told_error(&wait(first, first).await),
        (400, "circular_dependency")
    );
    let remove = async |waiting: &str, on: &str| {
        let path = format!("{BASE}/tickets/{waiting}/dependencies/{on}");
        let request = Request::delete(path).header(AUTHORIZATION, format!("Bearer {TOKEN}"));
        let response = router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await;
        response.unwrap().status().as_u16()
    };
    assert_eq!(remove(second, third).await, 204);
    assert_eq!(remove(second, third).await, 404);
    assert_eq!(wait(third, first).await.0, 200);

    // Nor by what their tasks wait for.
    let task = test.add_task(1, &[]).await;
    let beside = test.commit(async |tx| {
        let ticket = Ticket::of_plan(tx, &test.spec, 9);
        tickets::insert(tx, &ticket).await?;
        let prerequisite = sample_rows::task(tx, &ticket, 2);
        tasks::insert(tx, &prerequisite).await?;
        tasks::depend(tx, task.id, prerequisite.id).await?;
        Ok(ticket.number)
    });
    let beside = format!("TKT-{:03}", beside.await.unwrap());
    let circular = wait(&beside, first).await;
    assert_eq!(told_error(&circular), (400, "circular_dependency"));
    let cycle = &circular.1["context"]["cycle"];
    assert_eq!(cycle, &json!([beside, first, beside]));
}

#[tokio::test]
async fn comments_are_written_changed_and_taken_away_by_their_author() {
    let (test, router) = bench().await;
    let me = write_ticket(&router, "a").await["user_id"].clone();
    let me = me.as_str().unwrap();
    let at = "/tickets/TKT-001/comments";
    let stranger = "@01930000-0000-7000-8000-00000000abcd";
    for content in ["", " \n", stranger] {
        let said = post(&router, at, json!({ "content": content })).await;
        assert_eq!(
            told_error(&said),
            (422, "validation_failed"),
            "{content}: {said:?}"
        );
    }
    let (status, first) = post(&router, at, json!({ "content": format!("ask @{me}") })).await;
    assert_eq!((status, &first["mentions"]), (201, &json!([me])), "{first}");
    test.advance_clock(1);
    post(&router, at, json!({ "content": "second" })).await;
    let path = format!("{at}/{}", first["id"].as_str().unwrap());
    let edit = async |content: &str, meant: &str| {
        let body = json!({ "content": content });
        send(&router, request(Method::PATCH, &path, &body, Some(meant))).await
    };
    let (status, _, edited) = edit("ask nobody", "\"0\"").await;
    assert_eq!((status, &edited["mentions"]), (200, &json!([])), "{edited}");
    assert!(edited["edited_at"].is_string(), "{edited}");
    assert_eq!(edit("again", "\"0\"").await.0, 412);
    // Somebody else's words are theirs.
    let which = CommentOfTicket {
        ticket: test.ticket.id,
        comment: first["id"].as_str().unwrap().parse::<CommentId>().unwrap(),
        versions: None,
    };
    let other = test.deployment.store.clone().acting_as(Actor::System);
    let refused = commands::edit_comment(&other, &which, "mine").await;
    assert!(
        matches!(refused, Err(TicketCommandError::NotAuthor)),
        "{refused:?}"
    );
    let refused = commands::delete_comment(&other, &which, false).await;
    assert!(
        matches!(refused, Err(TicketCommandError::NotAuthor)),
        "{refused:?}"
    );
    let delete =
        Request::delete(format!("{BASE}{path}")).header(AUTHORIZATION, format!("Bearer {TOKEN}"));
    let response = router
        .clone()
        .oneshot(delete.body(Body::empty()).unwrap())
        .await;
    assert_eq!(response.unwrap().status().as_u16(), 204);
    let (_, _, listed) = send(&router, show(&format!("{BASE}{at}?limit=10"))).await;
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{listed}");
    assert_eq!(
        (&items[0]["content"], &items[1]["content"]),
        (&Value::Null, &json!("second"))
    );
    let gone = edit("back", "\"2\"").await;
    assert_eq!(gone.0, 404, "{gone:?}");
}
