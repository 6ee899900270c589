//! What the work on tickets came to, which of them are stalled, and what is said of agents.

use axum::http::Method;
use serde_json::{Value, json};

use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_domain::ticket::TicketStatus;
use omoi_store::{tasks, tickets};
use omoi_testkit::deployment::TestDeployment;

use crate::api::{bench, told};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, refused};
use crate::tickets::{post, request};
use crate::versions::send;

both!(contexts_and_notes_are_of_who_may_write_them);

fn code(said: &(u16, Value)) -> (u16, &str) {
    (said.0, said.1["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn the_context_of_a_ticket_is_built_from_the_tasks_of_a_phase() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let said = test.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.summary = Some("Sorted by label.".to_owned());
        tasks::save(tx, &mut task).await
    });
    said.await.unwrap();
    let path = format!("/tickets/{}", task.ticket_id);
    let (_, _, empty) = told(&router, &format!("{path}/context")).await;
    assert_eq!(empty["phases"], json!([]), "nobody had it built");
    let update = format!("{path}/update-context");
    for _ in 0..2 {
        let body = json!({ "phase_id": "PHASE_IMPLEMENTATION" });
        let (status, built) = post(&router, &update, body).await;
        assert_eq!(status, 200, "{built}");
        let phases = built["phases"].as_array().unwrap();
        assert_eq!(phases.len(), 1, "{built}");
        let says = phases[0]["summary"].as_str().unwrap();
        assert!(says.starts_with("0 of 1 tasks are completed."), "{says}");
        assert!(says.contains("Sorted by label."), "{says}");
        assert_eq!(phases[0]["tasks"][0]["task_ref"], "TSK-001");
    }
    post(&router, &update, json!({ "phase_id": "PHASE_TESTING" })).await;
    let (_, _, shown) = told(&router, &format!("{path}/context")).await;
    assert_eq!(shown["phases"].as_array().unwrap().len(), 2, "{shown}");
    for (body, expected) in [
        (
            json!({ "phase_id": "PHASE_DONE" }),
            (422, "validation_failed"),
        ),
        (json!({}), (422, "validation_failed")),
        (
            json!({ "phase_id": "PHASE_DESIGN", "summary": "x" }),
            (422, "unknown_field"),
        ),
    ] {
        let said = post(&router, &update, body.clone()).await;
        assert_eq!(code(&said), expected, "{body}: {said:?}");
    }
}

/// A ticket that is built, with a task that waits.
async fn add_built(test: &TestDeployment, number: i64) -> omoi_store::tasks::Task {
    let task = test.add_task(number, &[]).await;
    let moved = test.commit(async |tx| {
        let mut ticket = tickets::get(tx, task.ticket_id).await?;
        match ticket.status {
            TicketStatus::Backlog => {
                tickets::transition(tx, &mut ticket, TicketStatus::Building).await
            }
            _ => Ok(()),
        }
    });
    moved.await.unwrap();
    task
}

#[tokio::test]
async fn a_ticket_of_which_nothing_goes_on_is_held_up_with_the_reason() {
    let (test, router) = bench().await;
    let task = add_built(&test, 1).await;
    let detect = "/tickets/detect-blocking";
    test.advance_clock(29 * 60);
    let (status, early) = post(&router, detect, Value::Null).await;
    assert_eq!((status, &early["blocked"]), (200, &json!([])), "{early}");
    test.advance_clock(2 * 60);
    let elsewhere = format!("{detect}?project_id={UNKNOWN}");
    let (_, other) = post(&router, &elsewhere, Value::Null).await;
    assert_eq!(other["n_examined"], 0, "{other}");
    let (_, found) = post(&router, detect, Value::Null).await;
    let blocked = &found["blocked"][0];
    assert_eq!(blocked["ticket_id"], json!(task.ticket_id), "{found}");
    assert_eq!(blocked["blocker_type"], "environment", "{found}");
    let says = blocked["detail"].as_str().unwrap();
    assert!(
        says.contains("30 minutes") && says.contains("1 pending"),
        "{says}"
    );
    let remedy = blocked["remedy_task_ref"].as_str().unwrap();
    let looks = format!("{remedy}, which is to look for the cause, waits for a person");
    assert!(says.ends_with(&looks), "{says}");
    let (_, _, ticket) = told(&router, &format!("/tickets/{}", task.ticket_id)).await;
    assert_eq!(ticket["is_blocked"], true, "{ticket}");
    let (_, again) = post(&router, detect, Value::Null).await;
    assert_eq!(
        again["blocked"],
        json!([]),
        "it is held up already: {again}"
    );
    let said = post(
        &router,
        &format!("{detect}?project_id=nonsense"),
        Value::Null,
    )
    .await;
    assert_eq!(code(&said), (422, "validation_failed"), "{said:?}");
}

#[tokio::test]
async fn a_ticket_that_is_worked_on_is_left_alone() {
    let (test, router) = bench().await;
    let task = add_built(&test, 1).await;
    test.run_task(task.id).await;
    test.leaves_open_attempts();
    test.advance_clock(60 * 60);
    let (_, found) = post(&router, "/tickets/detect-blocking", Value::Null).await;
    assert_eq!(
        (&found["n_examined"], &found["blocked"]),
        (&json!(1), &json!([])),
        "{found}"
    );
}

#[tokio::test]
async fn agents_have_tags_and_conversations() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let register = format!("/tasks/{}/register-conversation", task.id);
    let named = json!({ "conversation_id": "c-1" });
    let said = post(&router, &register, named.clone()).await;
    assert_eq!(
        code(&said),
        (404, "not_found"),
        "there is no agent: {said:?}"
    );
    let attempt = test.run_task(task.id).await.attempt;
    test.leaves_open_attempts();
    let (status, agent) = post(&router, &register, named).await;
    assert_eq!(
        (status, &agent["conversation_id"]),
        (200, &json!("c-1")),
        "{agent}"
    );
    let path = format!("/agents/{}", attempt.id);
    let patch = async |body: &Value| {
        let (status, _, told) = send(&router, request(Method::PATCH, &path, body, None)).await;
        (status, told)
    };
    let (status, agent) = patch(&json!({ "tags": ["slow", "slow", "look"] })).await;
    assert_eq!(
        (status, &agent["tags"]),
        (200, &json!(["slow", "look"])),
        "{agent}"
    );
    assert_eq!(agent["conversation_id"], "c-1", "the other note stays");
    let (_, _, listed) = told(&router, "/agents").await;
    assert_eq!(
        listed["items"][0]["tags"],
        json!(["slow", "look"]),
        "{listed}"
    );
    for (body, expected) in [
        (json!({ "tags": [""] }), (422, "validation_failed")),
        (json!({}), (422, "validation_failed")),
        // What follows from the attempt is nobody's to say.
        (
            json!({ "tags": [], "status": "idle" }),
            (422, "unknown_field"),
        ),
        (json!({ "tags": [], "capacity": 3 }), (422, "unknown_field")),
        (
            json!({ "tags": [], "capabilities": ["python"] }),
            (422, "unknown_field"),
        ),
    ] {
        assert_eq!(code(&patch(&body).await), expected, "{body}");
    }
    for (body, expected) in [
        (json!({ "conversation_id": "" }), (422, "validation_failed")),
        (
            json!({ "conversation_id": "a\nb" }),
            (422, "validation_failed"),
        ),
        (
            json!({ "conversation_id": "c", "sandbox_id": UNKNOWN }),
            (404, "not_found"),
        ),
        (
            json!({ "conversation_id": "c", "persistence_dir": "/tmp" }),
            (422, "unknown_field"),
        ),
    ] {
        let said = post(&router, &register, body.clone()).await;
        assert_eq!(code(&said), expected, "{body}: {said:?}");
    }
}

async fn contexts_and_notes_are_of_who_may_write_them(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let attempt = desk.test.run_task(task.id).await.attempt;
    desk.test.leaves_open_attempts();
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    desk.add_user("ada@example.org", &[(OrgId::LOCAL, SystemRole::Admin)])
        .await;
    desk.add_user("vic@example.org", &[(OrgId::LOCAL, SystemRole::Viewer)])
        .await;
    desk.add_user("eve@example.org", &[(elsewhere, SystemRole::Owner)])
        .await;
    let token = async |email: &str| desk.sign_in(email, PASSWORD).await.access_token;
    let (ada, vic, eve) = (
        token("ada@example.org").await,
        token("vic@example.org").await,
        token("eve@example.org").await,
    );
    let routes = [
        (
            Method::POST,
            format!("/tickets/{}/update-context", task.ticket_id),
            json!({ "phase_id": "PHASE_IMPLEMENTATION" }),
        ),
        (
            Method::POST,
            format!("/tasks/{}/register-conversation", task.id),
            json!({ "conversation_id": "c" }),
        ),
        (
            Method::PATCH,
            format!("/agents/{}", attempt.id),
            json!({ "tags": ["a"] }),
        ),
    ];
    for (method, path, body) in routes {
        let ask = async |token: &str| {
            let route = (method.clone(), path.as_str());
            desk.code_of(route, token, Some(body.clone())).await
        };
        assert_eq!(ask(&vic).await, refused(403, "forbidden"), "{path}");
        assert_eq!(ask(&eve).await, refused(404, "not_found"), "{path}");
        assert_eq!(ask(&ada).await.0, 200, "{path}");
    }
    let context = format!("/tickets/{}/context", task.ticket_id);
    let get = || (Method::GET, context.as_str());
    assert_eq!(
        desk.code_of(get(), &eve, None).await,
        refused(404, "not_found")
    );
    let (status, shown) = desk.ask(get(), Some(&vic), None).await;
    assert_eq!(
        (status, shown["phases"].as_array().unwrap().len()),
        (200, 1),
        "{shown}"
    );
    // Another organisation's look finds nothing of this one.
    let detect = (Method::POST, "/tickets/detect-blocking");
    let (status, found) = desk.ask(detect, Some(&eve), None).await;
    assert_eq!((status, &found["n_examined"]), (200, &json!(0)), "{found}");
    let detect = (Method::POST, "/tickets/detect-blocking");
    assert_eq!(
        desk.code_of(detect, &vic, None).await,
        refused(403, "forbidden")
    );
}
