//! Results that people and programs submit and judge.

use axum::http::Method;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_domain::task::TaskStatus;
use serde_json::{Value, json};

use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, refused as code};

both!(
    a_result_of_a_ticket_is_judged_by_its_criteria,
    a_result_of_a_task_is_judged_by_people,
    others_see_no_result_and_viewers_submit_none,
);

/// Somebody who is signed in.
struct Reporter<'a> {
    desk: &'a SignInDesk,
    token: String,
}

impl Reporter<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.desk.ask((method, path), Some(&self.token), body).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn listed(&self, path: &str) -> Vec<Value> {
        let (status, told) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {told}");
        told["items"].as_array().unwrap().clone()
    }
}

async fn member<'a>(
    desk: &'a SignInDesk,
    mail: &str,
    org: OrgId,
    role: SystemRole,
) -> Reporter<'a> {
    desk.add_user(mail, &[(org, role)]).await;
    let token = desk.sign_in(mail, PASSWORD).await.access_token;
    Reporter { desk, token }
}

const JUDGE: &str = "/submit_result_validation";

fn about_ticket(ticket: &str, markdown: &str) -> Value {
    json!({ "workflow_id": ticket, "summary": "Exported", "markdown": markdown })
}

/// Status and code of an answer.
fn refusal_of((status, told): (u16, Value)) -> (u16, String) {
    let code = told["error"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

async fn a_result_of_a_ticket_is_judged_by_its_criteria(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let ticket = task.ticket_id.to_string();
    let ada = member(&desk, "ada@example.org", OrgId::LOCAL, SystemRole::Admin).await;
    let submit = about_ticket(&ticket, "# Export");
    let none = refusal_of(ada.post("/submit_result", submit.clone()).await);
    assert_eq!(none, code(409, "no_result_criteria"));
    let criteria = format!("/workflows/{ticket}/result-criteria");
    let none = refusal_of(ada.ask(Method::GET, &criteria, None).await);
    assert_eq!(none, code(404, "not_found"));
    let asked = json!({ "result_criteria": ["fast", "small"], "on_result_found": "stop_all" });
    let (status, set) = ada.ask(Method::PUT, &criteria, Some(asked.clone())).await;
    assert_eq!((status, &set), (200, &asked));
    assert_eq!(ada.ask(Method::GET, &criteria, None).await, (200, asked));
    let empty = json!({ "result_criteria": [], "on_result_found": "stop_all" });
    let empty = refusal_of(ada.ask(Method::PUT, &criteria, Some(empty)).await);
    assert_eq!(empty, code(422, "validation_failed"));
    let (status, one) = ada.post("/submit_result", submit).await;
    assert_eq!(
        (status, &one["status"]),
        (201, &json!("pending_validation")),
        "{one}"
    );
    let (_, two) = ada
        .post("/submit_result", about_ticket(&ticket, "# Other"))
        .await;
    refused_judgements(&ada, &one["id"]).await;
    let slow = json!({
        "result_id": one["id"], "passed": false, "feedback": "3 s", "unmet_criteria": ["fast"]
    });
    let (status, told) = ada.post(JUDGE, slow).await;
    assert_eq!(
        (status, &told["workflow_result"]["status"]),
        (200, &json!("rejected")),
        "{told}"
    );
    assert_eq!(
        desk.test.task_now(task.id).await.status,
        TaskStatus::Pending
    );
    let good = json!({ "result_id": two["id"], "passed": true });
    let (status, told) = ada.post(JUDGE, good.clone()).await;
    assert_eq!(
        (status, &told["workflow_result"]["status"]),
        (200, &json!("validated")),
        "{told}"
    );
    assert_eq!(
        desk.test.task_now(task.id).await.status,
        TaskStatus::Cancelled
    );
    let again = refusal_of(ada.post(JUDGE, good).await);
    assert_eq!(again, code(409, "invalid_transition"));
    let listed = ada.listed(&format!("/workflows/{ticket}/results")).await;
    let mut statuses: Vec<_> = listed
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["rejected", "validated"]);
    let events = ada.listed("/events?event_types=workflow_result.*").await;
    assert_eq!(events.len(), 4, "{events:?}");
}

/// What cannot be said of a result.
async fn refused_judgements(ada: &Reporter<'_>, id: &Value) {
    for body in [
        json!({ "passed": true }),
        json!({ "result_id": id, "passed": false }),
        json!({ "result_id": id, "passed": true, "unmet_criteria": ["fast"] }),
        json!({ "result_id": id, "passed": false, "feedback": "no", "unmet_criteria": ["red"] }),
    ] {
        let told = refusal_of(ada.post(JUDGE, body.clone()).await);
        assert_eq!(told, code(422, "validation_failed"), "{body}");
    }
}

async fn a_result_of_a_task_is_judged_by_people(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let ada = member(&desk, "ada@example.org", OrgId::LOCAL, SystemRole::Admin).await;
    let report = |markdown: &str| {
        json!({
            "task_id": "TSK-001", "result_type": "fix", "summary": "Mended", "markdown": markdown
        })
    };
    let (status, one) = ada.post("/report_results", report("# Fix")).await;
    assert_eq!(
        (status, &one["verification_status"]),
        (201, &json!("unverified")),
        "{one}"
    );
    for bad in [report(" "), report(&"x".repeat((100 << 10) + 1))] {
        let told = refusal_of(ada.post("/report_results", bad).await);
        assert_eq!(told, code(422, "validation_failed"));
    }
    let judge = json!({ "task_result_id": one["id"], "passed": false, "feedback": "still red" });
    let (status, told) = ada.post(JUDGE, judge.clone()).await;
    let judged = &told["task_result"];
    assert_eq!(
        (status, &judged["verification_status"]),
        (200, &json!("disputed")),
        "{told}"
    );
    let again = refusal_of(ada.post(JUDGE, judge).await);
    assert_eq!(again, code(409, "invalid_transition"));
    let listed = ada.listed(&format!("/tasks/{}/results", task.id)).await;
    assert_eq!(listed, std::slice::from_ref(judged));
    for n in 1..20 {
        let (status, told) = ada.post("/report_results", report(&format!("# {n}"))).await;
        assert_eq!(status, 201, "{told}");
    }
    let many = refusal_of(ada.post("/report_results", report("# 20")).await);
    assert_eq!(many, code(409, "quota_exceeded"));
}

async fn others_see_no_result_and_viewers_submit_none(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let (ticket, task) = (task.ticket_id.to_string(), task.id.to_string());
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    let ada = member(&desk, "ada@example.org", OrgId::LOCAL, SystemRole::Admin).await;
    let eve = member(&desk, "eve@example.org", elsewhere, SystemRole::Owner).await;
    let vera = member(&desk, "vera@example.org", OrgId::LOCAL, SystemRole::Viewer).await;
    let criteria = format!("/workflows/{ticket}/result-criteria");
    let asked = json!({ "result_criteria": ["fast"], "on_result_found": "do_nothing" });
    ada.ask(Method::PUT, &criteria, Some(asked.clone())).await;
    let (_, one) = ada
        .post("/submit_result", about_ticket(&ticket, "# Export"))
        .await;
    let report = json!({
        "task_id": task, "result_type": "fix", "summary": "Mended", "markdown": "# Fix"
    });
    let judge = json!({ "result_id": one["id"], "passed": true });
    for (method, path, body) in [
        (
            Method::POST,
            "/submit_result",
            about_ticket(&ticket, "# Other"),
        ),
        (Method::POST, "/report_results", report),
        (Method::POST, JUDGE, judge),
        (Method::PUT, criteria.as_str(), asked),
    ] {
        let told = refusal_of(eve.ask(method.clone(), path, Some(body.clone())).await);
        assert_eq!(told, code(404, "not_found"), "{path}");
        let told = refusal_of(vera.ask(method, path, Some(body)).await);
        assert_eq!(told, code(403, "forbidden"), "{path}");
    }
    for path in [
        format!("/workflows/{ticket}/results"),
        format!("/tasks/{task}/results"),
    ] {
        let told = refusal_of(eve.ask(Method::GET, &path, None).await);
        assert_eq!(told, code(404, "not_found"), "{path}");
        vera.listed(&path).await;
    }
    assert_eq!(
        vera.listed(&format!("/workflows/{ticket}/results"))
            .await
            .len(),
        1
    );
}
