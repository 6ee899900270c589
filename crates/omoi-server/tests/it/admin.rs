//! What those who run a deployment look at, and who may.

use axum::http::Method;
use serde_json::{Value, json};

use omoi_accounts::commands::register::{NewUser, add_user};
use omoi_domain::access::role::SystemRole;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::id::OrgId;
use omoi_execution::intake;
use omoi_store::{attempts, sandboxes};
use omoi_testkit::deployment::ended_report;

use crate::api::{bench, told};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, refused};
use crate::tickets::{post, write_ticket};

both!(staff_see_rows_only_where_they_are);

const LOCAL: &str = "01930000-0000-7000-8000-000000000001";

#[tokio::test]
async fn the_queue_and_the_agents_are_told_from_rows() {
    let (test, router) = bench().await;
    let running = test.add_task(1, &[]).await;
    let waiting = test.add_task(2, &[running.id]).await;
    test.run_task(running.id).await;
    test.leaves_open_attempts();
    test.advance_clock(30);
    let (_, _, stats) = told(&router, "/admin/tasks/stats").await;
    assert_eq!(
        (&stats["total"], &stats["n_organizations"]),
        (&json!(2), &json!(1)),
        "{stats}"
    );
    assert_eq!(stats["by_status"], json!({ "pending": 1, "running": 1 }));
    let (_, _, pending) = told(&router, "/admin/tasks/pending?include_total=true").await;
    assert_eq!(
        (&pending["total"], &pending["items"][0]["task"]["id"]),
        (&json!(1), &json!(waiting.id))
    );
    assert!(
        pending["items"][0]["waiting_seconds"].as_i64().unwrap() >= 30,
        "{pending}"
    );
    let (_, _, at_work) = told(&router, &format!("/admin/tasks/running/{LOCAL}")).await;
    assert_eq!(
        at_work["items"][0]["task"]["id"],
        json!(running.id),
        "{at_work}"
    );
    assert_eq!(at_work["items"].as_array().unwrap().len(), 1);
    let (_, _, agents) = told(&router, &format!("/admin/agents/{LOCAL}/stats")).await;
    assert_eq!(
        (&agents["n_live"], &agents["by_status"]),
        (&json!(1), &json!({ "running": 1 })),
        "{agents}"
    );
    for path in [
        format!("/admin/tasks/running/{UNKNOWN}"),
        format!("/admin/agents/{UNKNOWN}/stats"),
        format!("/admin/tickets/{UNKNOWN}/tasks-by-phase"),
        format!("/admin/tickets/{UNKNOWN}/phase-gate-status"),
        format!("/admin/phase-progression/initial-tasks?project_id={UNKNOWN}"),
    ] {
        let (status, code, body) = told(&router, &path).await;
        assert_eq!(
            (status, code.as_str()),
            (404, "not_found"),
            "{path}: {body}"
        );
    }
    for path in [
        "/admin/tasks/pending?limit=0",
        "/admin/tasks/running/nonsense",
    ] {
        let (status, code, body) = told(&router, path).await;
        assert_eq!(
            (status, code.as_str()),
            (422, "validation_failed"),
            "{path}: {body}"
        );
    }
}

#[tokio::test]
async fn the_phases_of_tickets_are_told_with_what_they_have_to_show() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let (_, _, by_phase) = told(
        &router,
        &format!("/admin/tickets/{}/tasks-by-phase", task.ticket_id),
    )
    .await;
    let phase = &by_phase["items"][0];
    assert_eq!(phase["phase_id"], "PHASE_IMPLEMENTATION", "{by_phase}");
    assert_eq!(phase["tasks"][0]["id"], json!(task.id));
    let ticket = write_ticket(&router, "Export todos").await;
    let id = ticket["id"].as_str().unwrap();
    let moved = json!({ "to_phase": "PHASE_REQUIREMENTS" });
    let (status, _) = post(&router, &format!("/tickets/{id}/phase-transition"), moved).await;
    assert_eq!(status, 200);
    let (_, _, gate) = told(&router, &format!("/admin/tickets/{id}/phase-gate-status")).await;
    assert_eq!(gate["phase_id"], "PHASE_REQUIREMENTS", "{gate}");
    assert_eq!(
        gate["gates"][0]["artifact_type"], "requirements_document",
        "{gate}"
    );
    assert_eq!(gate["gates"][0]["rule"]["chars_min"], 500, "{gate}");
    assert_eq!(gate["next_phase"], "PHASE_DESIGN", "{gate}");
    // Nobody tried to leave it; what a gate says then is what the ticket's own page shows.
    assert_eq!(gate["results"], json!([]), "{gate}");
    let (status, said) = post(&router, &format!("/tickets/{id}/validate-gate"), json!({})).await;
    assert_eq!(
        (status, &said["gate_status"]),
        (200, &json!("skipped")),
        "{said}"
    );
    let (_, _, gate) = told(&router, &format!("/admin/tickets/{id}/phase-gate-status")).await;
    let (_, _, shown) = told(&router, &format!("/tickets/{id}")).await;
    assert_eq!(gate["results"], json!([shown["gate_result"]]), "{gate}");
    assert_eq!(gate["results"][0]["id"], said["id"], "{gate}");
    let query = format!("?project_id={}", test.spec.project_id);
    for query in ["", query.as_str()] {
        let (_, _, initial) = told(
            &router,
            &format!("/admin/phase-progression/initial-tasks{query}"),
        )
        .await;
        let design = initial["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|phase| phase["phase_id"] == "PHASE_DESIGN");
        assert_eq!(
            design.unwrap()["initial_tasks"],
            json!(["create_design"]),
            "{initial}"
        );
    }
    let (_, _, progression) = told(&router, "/admin/phase-progression/status").await;
    // This process has no loops.
    assert_eq!(
        (&progression["is_running"], &progression["planner"]),
        (&json!(false), &Value::Null)
    );
    let begun = json!({ "ticket_id": id });
    assert_eq!(post(&router, "/tasks", begun).await.0, 202);
    let (_, _, progression) = told(&router, "/admin/phase-progression/status").await;
    assert_eq!(progression["n_tickets_to_begin"], 1, "{progression}");
}

#[tokio::test]
async fn the_parts_of_the_process_are_tried() {
    let (_test, router) = bench().await;
    let (_, _, bus) = told(&router, "/admin/event-bus/status").await;
    assert_eq!(
        (&bus["is_connected"], &bus["error"]),
        (&json!(true), &Value::Null),
        "{bus}"
    );
    assert!(bus["n_events"].as_i64().unwrap() > 0, "{bus}");
    let (status, probe) = post(&router, "/admin/event-bus/test-publish", Value::Null).await;
    assert_eq!(
        (status, &probe["is_delivered"]),
        (200, &json!(true)),
        "{probe}"
    );
    assert!(probe["took_ms"].is_number(), "{probe}");
    let (_, _, health) = told(&router, "/admin/health").await;
    assert_eq!(health["status"], "ok", "{health}");
    for service in ["database", "event_bus", "disk", "sandbox", "model"] {
        assert_eq!(
            health["services"][service]["status"], "ok",
            "{service}: {health}"
        );
    }
}

#[tokio::test]
async fn rows_of_left_sandboxes_end_and_those_at_work_stay() {
    let (test, router) = bench().await;
    let (one, other) = (test.add_task(1, &[]).await, test.add_task(2, &[]).await);
    let live = test.run_task(one.id).await.attempt;
    let over = test.run_task(other.id).await.attempt;
    test.leaves_open_attempts();
    let end = ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt);
    let attempt = test.attempt_now(&over).await;
    intake::complete_attempt(&test.build_part(), &attempt, end)
        .await
        .unwrap();
    let open = sandboxes::all_live(&mut test.read_tx().await)
        .await
        .unwrap();
    let n_left = open
        .iter()
        .filter(|sandbox| sandbox.attempt_id == over.id)
        .count();
    let path = "/sandboxes/admin/clear-tracked-sandboxes";
    for expected in [n_left, 0] {
        let (status, cleared) = post(&router, path, Value::Null).await;
        assert_eq!(
            (status, &cleared["n_cleared"]),
            (200, &json!(expected)),
            "{cleared}"
        );
    }
    let open = sandboxes::all_live(&mut test.read_tx().await)
        .await
        .unwrap();
    let open: Vec<_> = open.iter().map(|sandbox| sandbox.attempt_id).collect();
    assert_eq!(open, [live.id]);
    assert_eq!(
        attempts::all_live(&mut test.read_tx().await)
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn staff_see_rows_only_where_they_are(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let new = NewUser {
        email: "staff@example.org".parse().unwrap(),
        name: None,
        is_staff: true,
    };
    add_user(&desk.accounts, new, PASSWORD.into())
        .await
        .unwrap();
    desk.add_user("ada@example.org", &[(OrgId::LOCAL, SystemRole::Owner)])
        .await;
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    desk.add_user("eve@example.org", &[(elsewhere, SystemRole::Owner)])
        .await;
    let token = async |email: &str| desk.sign_in(email, PASSWORD).await.access_token;
    let (staff, ada, eve) = (
        token("staff@example.org").await,
        token("ada@example.org").await,
        token("eve@example.org").await,
    );
    let figures = [
        "/admin/tasks/stats",
        "/admin/event-bus/status",
        "/admin/health",
    ];
    let ticket = task.ticket_id;
    let rows = [
        format!("/admin/tasks/running/{LOCAL}"),
        format!("/admin/agents/{LOCAL}/stats"),
        format!("/admin/tickets/{ticket}/tasks-by-phase"),
        format!("/admin/tickets/{ticket}/phase-gate-status"),
    ];
    for path in figures
        .iter()
        .copied()
        .chain(rows.iter().map(String::as_str))
    {
        for owner in [&ada, &eve] {
            let said = desk.code_of((Method::GET, path), owner, None).await;
            assert_eq!(said, refused(403, "forbidden"), "{path}");
        }
    }
    for path in figures {
        assert_eq!(
            desk.ask((Method::GET, path), Some(&staff), None).await.0,
            200,
            "{path}"
        );
    }
    // Staff are nowhere until they say why they enter.
    for path in &rows {
        let said = desk.code_of((Method::GET, path), &staff, None).await;
        assert_eq!(said, refused(404, "not_found"), "{path}");
    }
    let clear = "/sandboxes/admin/clear-tracked-sandboxes";
    let said = desk.code_of((Method::POST, clear), &staff, None).await;
    assert_eq!(said.0, 403, "{said:?}");
    let enter = format!("/organizations/{LOCAL}/staff-entries");
    let why = json!({ "reason": "a task that hangs" });
    let (status, told) = desk
        .ask((Method::POST, &enter), Some(&staff), Some(why))
        .await;
    assert!(status < 300, "{status} {told}");
    desk.test.advance_clock(6);
    for path in &rows {
        let (status, told) = desk.ask((Method::GET, path), Some(&staff), None).await;
        assert_eq!(status, 200, "{path}: {told}");
    }
}
