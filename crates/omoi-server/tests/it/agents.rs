//! Agents and sandboxes as attempts tell of them.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use omoi_domain::agent_event::AgentEventKind;
use omoi_store::Json;
use omoi_store::attempts::{self, AgentEvent};

use crate::api::{TOKEN, bench, told};
use crate::ask::ask;

#[tokio::test]
async fn agents_live_and_past_are_listed_shown_and_counted() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let attempt = test.run_task(task.id).await.attempt;
    test.leaves_open_attempts();
    let id = attempt.id;
    for (query, n) in [
        ("", 1),
        ("?status=running&type=implementer", 1),
        ("?status=failed&status=lost", 0),
        (&format!("?project_id={}", test.spec.project_id), 1),
        (&format!("?for_task={}", task.id), 1),
        (&format!("?for_spec={}&limit=1", test.spec.id), 1),
    ] {
        let (status, _, page) = told(&router, &format!("/agents{query}")).await;
        assert_eq!(
            (status, page["items"].as_array().unwrap().len()),
            (200, n),
            "{query}: {page}"
        );
    }
    let (_, _, agent) = told(&router, &format!("/agents/{id}")).await;
    assert_eq!(
        (&agent["status"], &agent["task"]["task_ref"]),
        (&json!("running"), &json!("TSK-001"))
    );
    test.advance_clock(7);
    for path in [format!("/agents/{id}/health"), "/agents/health".to_owned()] {
        let (_, _, health) = told(&router, &path).await;
        let health = health.get("items").map_or(&health, |items| &items[0]);
        assert_eq!(
            (&health["agent_id"], &health["is_live"]),
            (&json!(id), &json!(true)),
            "{health}"
        );
        assert_eq!(
            (&health["idle_seconds"], &health["is_asking"]),
            (&json!(7), &json!(false))
        );
    }
    let (_, _, counted) = told(&router, "/agents/statistics").await;
    assert_eq!(
        (&counted["n_live"], &counted["by_status"]["running"]),
        (&json!(1), &json!(1))
    );
    let (_, _, live) = told(&router, "/sandboxes/monitoring/status").await;
    assert_eq!(live["items"][0]["agent_id"], json!(id), "{live}");
    let (_, _, health) = told(&router, "/sandboxes/health").await;
    assert_eq!(
        (&health["n_live"], &health["n_starting"]),
        (&json!(1), &json!(0)),
        "{health}"
    );
}

#[tokio::test]
async fn a_sandbox_tells_of_its_task_its_events_and_its_messages() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let attempt = test.run_task(task.id).await.attempt;
    test.leaves_open_attempts();
    for kind in [AgentEventKind::ToolUse, AgentEventKind::ToolResult] {
        let stored = test.commit(async |tx| {
            let event = AgentEvent {
                attempt_id: attempt.id,
                org_id: tx.org(),
                seq: 0,
                event_id: tx.new_id(),
                event_type: kind,
                data: Json(json!({ "n": 1 })),
                created_at: tx.now(),
            };
            attempts::append_event(tx, &attempt, event, None).await
        });
        stored.await.unwrap();
    }
    let at = format!("/sandboxes/{}", attempt.id);
    let (_, _, shown) = told(&router, &format!("{at}/task")).await;
    assert_eq!(shown["id"], json!(task.id), "{shown}");
    let (_, _, events) = told(&router, &format!("{at}/events?after=1&limit=500")).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
    assert_eq!(
        events["items"][0]["event_type"], "agent.tool_result",
        "{events}"
    );
    for (path, expected) in [
        (format!("{at}/events?limit=501"), (422, "validation_failed")),
        (
            format!("{at}/trajectory?limit=0"),
            (422, "validation_failed"),
        ),
        (format!("{at}/phase-status"), (404, "not_found")),
        (
            "/sandboxes/nonsense/task".to_owned(),
            (422, "validation_failed"),
        ),
    ] {
        let (status, code, body) = told(&router, &path).await;
        assert_eq!((status, code.as_str()), expected, "{path}: {body}");
    }
    let (_, _, turns) = told(&router, &format!("{at}/trajectory")).await;
    assert_eq!(turns["items"], json!([]));
    let path = format!("/api/v1{at}/messages");
    let body = json!({ "content": "be brief", "message_type": "user_message" });
    let said = ask(
        &router,
        (&Method::POST, &path),
        Some(TOKEN),
        Body::from(body.to_string()),
    )
    .await;
    assert_eq!(said.0.as_u16(), 202, "{said:?}");
    for _ in 0..2 {
        let (_, _, waiting) = told(&router, &format!("{at}/messages")).await;
        assert_eq!(
            waiting["items"][0]["content"], "be brief",
            "looking takes none: {waiting}"
        );
    }
}
