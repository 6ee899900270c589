//! Tasks that people write for tickets.

use axum::http::Method;
use serde_json::{Value, json};

use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_domain::spec::SpecStatus;
use omoi_store::{checks, specs, tasks};

use crate::api::{bench, told};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, refused};
use crate::tickets::{post, write_ticket};

both!(a_task_is_written_by_who_may_write_tasks);

fn code(said: &(u16, Value)) -> (u16, &str) {
    (said.0, said.1["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_task_joins_the_spec_of_its_ticket_with_its_check() {
    let (test, router) = bench().await;
    let first = test.add_task(1, &[]).await;
    let body = json!({
        "ticket_id": first.ticket_id, "title": "Sort todos", "description": "By label.", "priority": "HIGH",
        "dependencies": ["TSK-001"], "check": { "command": "sh todo.sh sort" },
    });
    let (status, task) = post(&router, "/tasks", body.clone()).await;
    assert_eq!(status, 201, "{task}");
    let expected = json!({
        "title": "Sort todos", "priority": "HIGH", "status": "pending", "depends_on": ["TSK-001"],
        "task_type": "implement_feature", "phase": "PHASE_IMPLEMENTATION",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&task[field], value, "{field}: {task}");
    }
    let (status, _, shown) =
        told(&router, &format!("/tasks/{}", task["id"].as_str().unwrap())).await;
    assert_eq!((status, &shown["description"]), (200, &json!("By label.")));
    let mut tx = test.read_tx().await;
    let row = tasks::of_spec(&mut tx, test.spec.id)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(
        (row.local_id.as_str(), row.ticket_id),
        ("ADD-001", first.ticket_id)
    );
    let proofs = checks::of_spec(&mut tx, test.spec.id).await.unwrap();
    let own = proofs
        .iter()
        .find(|check| check.task_id == Some(row.id))
        .unwrap();
    assert_eq!(own.command, "sh todo.sh sort");
    drop(tx);
    // Without a check and a suite nothing could show that it is done.
    let mut plain = body;
    plain["title"] = json!("Something else");
    plain.as_object_mut().unwrap().remove("check");
    let (status, task) = post(&router, "/tasks", plain).await;
    assert_eq!(
        (status, &task["status"]),
        (201, &json!("blocked")),
        "{task}"
    );
}

#[tokio::test]
async fn what_no_spec_takes_is_refused_field_by_field() {
    let (test, router) = bench().await;
    let first = test.add_task(1, &[]).await;
    let with = |field: &str, value: Value| {
        let mut body = json!({ "ticket_id": first.ticket_id, "title": "Sort todos" });
        body[field] = value;
        body
    };
    for (body, expected) in [
        (with("ticket_id", json!(UNKNOWN)), (404, "not_found")),
        (
            with("ticket_id", json!("TSK-001")),
            (422, "validation_failed"),
        ),
        (with("title", json!("")), (422, "validation_failed")),
        (with("dependencies", json!([UNKNOWN])), (404, "not_found")),
        (
            with("task_type", json!("resolve_conflict")),
            (422, "validation_failed"),
        ),
        (
            with("check", json!({ "command": "" })),
            (422, "validation_failed"),
        ),
        (
            with(
                "check",
                json!({ "command": "true", "files": { "../a": "" } }),
            ),
            (422, "validation_failed"),
        ),
        (with("execution_config", json!({})), (422, "unknown_field")),
        (with("status", json!("completed")), (422, "unknown_field")),
    ] {
        let said = post(&router, "/tasks", body.clone()).await;
        assert_eq!(code(&said), expected, "{body}: {said:?}");
    }
    // A plan that nobody works on is changed itself.
    let hold = test.commit(async |tx| {
        let mut spec = specs::get(tx, test.spec.id).await?;
        spec.status = SpecStatus::Completed;
        specs::save(tx, &mut spec).await
    });
    hold.await.unwrap();
    let said = post(&router, "/tasks", with("title", json!("Later"))).await;
    assert_eq!(code(&said), (422, "refused"), "{said:?}");
    assert_eq!(
        tasks::of_spec(&mut test.read_tx().await, test.spec.id)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn the_first_task_of_a_ticket_is_the_ticket() {
    let (_test, router) = bench().await;
    let ticket = write_ticket(&router, "Export todos").await;
    let said = post(
        &router,
        "/tasks",
        json!({ "ticket_id": ticket["id"], "title": "Another" }),
    )
    .await;
    assert_eq!(code(&said), (422, "validation_failed"), "{said:?}");
    let (status, begun) = post(&router, "/tasks", json!({ "ticket_id": ticket["id"] })).await;
    assert_eq!(
        (status, &begun["workflow_mode"]),
        (202, &json!("quick")),
        "{begun}"
    );
    assert_eq!(begun["id"], ticket["id"]);
}

async fn a_task_is_written_by_who_may_write_tasks(desk: SignInDesk) {
    let first = desk.test.add_task(1, &[]).await;
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    desk.add_user("ada@example.org", &[(OrgId::LOCAL, SystemRole::Member)])
        .await;
    desk.add_user("vic@example.org", &[(OrgId::LOCAL, SystemRole::Viewer)])
        .await;
    desk.add_user("eve@example.org", &[(elsewhere, SystemRole::Owner)])
        .await;
    let body = json!({ "ticket_id": first.ticket_id, "title": "Sort todos", "check": { "command": "false" } });
    for (email, expected) in [
        ("vic@example.org", refused(403, "forbidden")),
        ("eve@example.org", refused(404, "not_found")),
        ("ada@example.org", (201, String::new())),
    ] {
        let token = desk.sign_in(email, PASSWORD).await.access_token;
        let said = desk
            .code_of((Method::POST, "/tasks"), &token, Some(body.clone()))
            .await;
        assert_eq!(said, expected, "{email}");
    }
    let mut tx = desk.test.read_tx().await;
    assert_eq!(
        tasks::of_spec(&mut tx, desk.test.spec.id)
            .await
            .unwrap()
            .len(),
        2
    );
}
