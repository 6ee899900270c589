//! Gates of tickets and questions of agents, over HTTP: who may give, look, decide and answer.

use axum::http::Method;
use serde_json::{Value, json};

use omoi_domain::access::role::SystemRole;
use omoi_domain::actor::Actor;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::audit::AuditAction;
use omoi_domain::id::OrgId;
use omoi_execution::intake::complete_attempt;
use omoi_protocol::worker::{AskPerson, ReportComplete};
use omoi_testkit::deployment::ended_report;

use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, newest_acts};

both!(
    a_gate_is_given_looked_at_and_passed_by_who_may,
    an_agent_is_answered_by_who_may,
);

/// Tokens of a member, of a viewer, and of the owner of another organisation.
async fn three_callers(desk: &SignInDesk) -> [String; 3] {
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    let mut tokens = Vec::new();
    for (mail, org, role) in [
        ("own@example.org", OrgId::LOCAL, SystemRole::Owner),
        ("vic@example.org", OrgId::LOCAL, SystemRole::Viewer),
        ("eve@example.org", elsewhere, SystemRole::Owner),
    ] {
        desk.add_user(mail, &[(org, role)]).await;
        tokens.push(desk.sign_in(mail, PASSWORD).await.access_token);
    }
    tokens.try_into().unwrap()
}

async fn post(desk: &SignInDesk, path: &str, token: &str, body: Value) -> (u16, Value) {
    desk.ask((Method::POST, path), Some(token), Some(body))
        .await
}

/// What each of who may not is answered: a viewer that they may not, others as of what there is not.
async fn expect_refused(desk: &SignInDesk, callers: &[String; 3], path: &str, body: Value) {
    let [owner, viewer, foreign] = callers;
    let (status, told) = post(desk, path, viewer, body.clone()).await;
    assert_eq!(status, 403, "{path}: {told}");
    for token in [foreign, owner] {
        let path = match token == owner {
            true => replace_id(path, UNKNOWN),
            false => path.to_owned(),
        };
        let (status, told) = post(desk, &path, token, body.clone()).await;
        assert_eq!(
            (status, &told["error"]),
            (404, &json!("not_found")),
            "{path}"
        );
    }
}

/// The same path with another row in its third part.
fn replace_id(path: &str, id: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts[2] = id;
    parts.join("/")
}

#[allow(clippy::too_many_lines, reason = "one ticket from its gate to its end")]
async fn a_gate_is_given_looked_at_and_passed_by_who_may(desk: SignInDesk) {
    let callers = three_callers(&desk).await;
    let owner = &callers[0];
    let new = json!({ "title": "Export todos", "phase_id": "PHASE_REQUIREMENTS" });
    let (status, ticket) = post(&desk, "/tickets", owner, new).await;
    assert_eq!(status, 201, "{ticket}");
    assert_eq!(ticket["gate_result"], Value::Null, "nobody tried yet");
    let id = ticket["id"].as_str().unwrap();
    let sketch = json!({ "artifact_type": "requirements_document", "content": "# Scope" });
    for (path, body) in [
        (format!("/tickets/{id}/artifacts"), sketch.clone()),
        (format!("/tickets/{id}/validate-gate"), json!({})),
        (format!("/tickets/{id}/check-phase-completion"), json!({})),
    ] {
        expect_refused(&desk, &callers, &path, body).await;
    }
    let artifacts = format!("/tickets/{id}/artifacts");
    let (status, given) = post(&desk, &artifacts, owner, sketch).await;
    assert_eq!((status, &given["percent"]), (201, &Value::Null), "{given}");
    for (body, field) in [
        (
            json!({ "artifact_type": "test_results", "content": "green" }),
            "/artifact_type",
        ),
        (
            json!({ "artifact_type": "design_document", "content": "a", "percent": 1 }),
            "/content",
        ),
        (json!({ "artifact_type": "test_coverage" }), "/content"),
        (
            json!({ "artifact_type": "test_coverage", "content": "much" }),
            "/content",
        ),
    ] {
        let (status, told) = post(&desk, &artifacts, owner, body.clone()).await;
        assert_eq!(status, 422, "{body}: {told}");
        assert!(told.to_string().contains(field), "{told}");
    }
    let validate = format!("/tickets/{id}/validate-gate");
    let (status, said) = post(&desk, &validate, owner, json!({})).await;
    let (gate, lacks) = (&said["gate_status"], said["blocking_reasons"].as_array());
    assert_eq!(
        (status, gate, lacks.map(Vec::len)),
        (200, &json!("failed"), Some(2)),
        "{said}"
    );
    assert_eq!(
        said["artifacts_collected"],
        json!(["requirements_document"])
    );
    // To look holds nothing up; to try does.
    let complete = format!("/tickets/{id}/check-phase-completion");
    let (status, told) = post(&desk, &complete, owner, json!({})).await;
    assert_eq!((status, &told["success"]), (200, &json!(false)), "{told}");
    assert_eq!(
        told["gate_result"]["gate_status"],
        json!("failed"),
        "{told}"
    );
    let get = (Method::GET, &*format!("/tickets/{id}"));
    let (_, shown) = desk.ask(get, Some(owner), None).await;
    assert_eq!(shown["blocked_reason"], json!("failing_checks"), "{shown}");
    assert_eq!(
        shown["gate_result"]["phase_id"],
        json!("PHASE_REQUIREMENTS")
    );
    let inbox = (Method::GET, "/approvals?state=pending&kind=phase_gate");
    let (_, listed) = desk.ask(inbox, Some(owner), None).await;
    let asked = &listed["items"][0];
    assert_eq!(asked["target_phase"], json!("PHASE_DESIGN"), "{listed}");
    assert_eq!(asked["allowed_decisions"], json!(["approve", "reject"]));
    let decide = format!("/approvals/{}/decide", asked["id"].as_str().unwrap());
    let yes = json!({ "decision": "approve", "comment": "clear enough" });
    expect_refused(&desk, &callers, &decide, yes.clone()).await;
    let answer = json!({ "decision": "answer", "comment": "no question" });
    let (status, told) = post(&desk, &decide, owner, answer).await;
    assert_eq!((status, &told["error"]), (422, &json!("validation_failed")));
    let (status, decided) = post(&desk, &decide, owner, yes).await;
    let told = newest_acts(&desk.accounts.store, OrgId::LOCAL, 2).await;
    let acts = told.iter().map(|entry| (entry.action, entry.actor));
    let whose = Actor::User(desk.user_of("own@example.org").await);
    let expected = [AuditAction::GateOverridden, AuditAction::ApprovalDecided];
    assert!(acts.eq(expected.map(|act| (act, whose))), "{told:?}");
    assert_eq!((status, &decided["state"]), (200, &json!("approved")));
    let get = (Method::GET, &*format!("/tickets/{id}"));
    let (_, moved) = desk.ask(get, Some(owner), None).await;
    let stands = (&moved["phase_id"], &moved["is_blocked"]);
    assert_eq!(stands, (&json!("PHASE_DESIGN"), &json!(false)), "{moved}");
    assert_eq!(moved["gate_result"]["gate_status"], json!("overridden"));
    // Nothing of a design was worked out: it is passed by.
    let (_, told) = post(&desk, &complete, owner, json!({})).await;
    assert_eq!(told["to_phase"], json!("PHASE_IMPLEMENTATION"), "{told}");
    assert_eq!(told["gate_result"]["gate_status"], json!("skipped"));
}

async fn an_agent_is_answered_by_who_may(desk: SignInDesk) {
    let callers = three_callers(&desk).await;
    let owner = &callers[0];
    desk.test.leaves_open_attempts();
    let task = desk.test.add_task(1, &[]).await;
    let attempt = desk.test.run_task(task.id).await.attempt;
    let asked = ReportComplete {
        question: Some(AskPerson {
            question: "Which port?".to_owned(),
            choices: vec!["4317".to_owned()],
        }),
        ..ended_report(
            AttemptOutcome::Interrupted,
            AttemptStopReason::QuestionAsked,
        )
    };
    complete_attempt(&desk.test.build_part(), &attempt, asked)
        .await
        .unwrap();
    let inbox = (Method::GET, "/approvals?state=pending&kind=question");
    let (_, listed) = desk.ask(inbox.clone(), Some(&callers[2]), None).await;
    assert_eq!(listed["items"], json!([]), "others see nothing");
    let (_, listed) = desk.ask(inbox, Some(owner), None).await;
    let item = &listed["items"][0];
    assert_eq!(item["subject"]["name"], json!("repo/TSK-001"), "{listed}");
    assert_eq!(
        (&item["question"], &item["choices"]),
        (&json!("Which port?"), &json!(["4317"]))
    );
    assert_eq!(item["allowed_decisions"], json!(["answer"]));
    let decide = format!("/approvals/{}/decide", item["id"].as_str().unwrap());
    let answer = json!({ "decision": "answer", "comment": "4317" });
    expect_refused(&desk, &callers, &decide, answer.clone()).await;
    for body in [
        json!({ "decision": "answer" }),
        json!({ "decision": "approve" }),
    ] {
        let (status, told) = post(&desk, &decide, owner, body).await;
        assert_eq!((status, &told["error"]), (422, &json!("validation_failed")));
    }
    let (status, told) = post(&desk, &decide, owner, answer).await;
    assert_eq!(
        (status, &told["state"]),
        (200, &json!("answered")),
        "{told}"
    );
    assert_eq!(told["comment"], json!("4317"));
    let get = (Method::GET, &*format!("/tasks/{}", task.id));
    let (_, shown) = desk.ask(get, Some(owner), None).await;
    assert_eq!(shown["task"]["status"], json!("pending"), "{shown}");
}
