//! Requests with an `Idempotency-Key`: done once, answered again, whoever asks how often and whatever dies in between.

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, Method, Request};
use futures::future::join_all;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::access::role::SystemRole;
use omoi_domain::audit::{AuditAction, AuditOutcome};
use omoi_domain::event::EventKind;
use omoi_domain::id::OrgId;
use omoi_domain::task::TaskStatus;
use omoi_store::{audit_log, events};
use omoi_testkit::raw_connection::RawConnection;

use crate::sign_in_desk::{PASSWORD, SignInDesk};

both!(
    many_requests_with_a_key_make_one_row,
    an_answer_is_given_again_as_it_was,
    what_was_done_is_answered_from_the_rows_where_its_answer_is_lost,
    a_refusal_frees_the_key_and_a_secret_is_told_once,
    a_refusal_that_the_audit_log_tells_of_frees_the_key,
);

const ADA: &str = "ada@example.org";
/// Requests that come at once.
const SENDERS: usize = 50;

/// Who asks.
struct Sender<'a> {
    desk: &'a SignInDesk,
    token: String,
}

/// An answer.
struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answered {
    fn is_replayed(&self) -> bool {
        self.headers
            .get("idempotent-replayed")
            .is_some_and(|told| told == "true")
    }

    fn code(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }
}

impl<'a> Sender<'a> {
    async fn new(desk: &'a SignInDesk, email: &str) -> Self {
        Self::in_role(desk, email, SystemRole::Member).await
    }

    async fn in_role(desk: &'a SignInDesk, email: &str, role: SystemRole) -> Self {
        desk.add_user(email, &[(OrgId::LOCAL, role)]).await;
        let token = desk.sign_in(email, PASSWORD).await.access_token;
        Self { desk, token }
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> Answered {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/api/v1{path}"))
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header("Idempotency-Key", key)
            .body(Body::from(body.to_string()));
        let response = self.desk.router.clone().oneshot(request.unwrap());
        let (parts, body) = response.await.unwrap().into_parts();
        let text = to_bytes(body, 1 << 20).await.unwrap();
        Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&text).unwrap_or(Value::Null),
        }
    }
}

async fn n_events(desk: &SignInDesk, kind: EventKind) -> usize {
    let mut tx = desk.test.read_tx().await;
    let told = events::of_kind(&mut tx, desk.test.spec.id, kind).await;
    told.unwrap().len()
}

async fn many_requests_with_a_key_make_one_row(desk: SignInDesk) {
    let ada = Sender::new(&desk, ADA).await;
    let task = desk.test.add_task(1, &[]).await.id;
    let path = format!("/tasks/{task}/messages");
    let body = json!({ "content": "be brief", "message_type": "user_message" });
    let posts = (0..SENDERS).map(|_| ada.post(&path, "one", body.clone()));
    let answers = join_all(posts).await;
    assert!(answers.iter().any(|answer| answer.status == 202));
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        assert_eq!(answer.code(), (409, "idempotency_in_progress"));
        assert_eq!(answer.headers[RETRY_AFTER], "1");
    }
    assert_eq!(n_events(&desk, EventKind::MessageQueued).await, 1);
    let again = ada.post(&path, "one", body.clone()).await;
    assert_eq!((again.status, again.is_replayed()), (202, true));
    let other = json!({ "content": "be long", "message_type": "user_message" });
    let said = ada.post(&path, "one", other).await;
    assert_eq!(said.code(), (409, "idempotency_key_reused"));
    for key in ["", &"k".repeat(129), "k\u{e4}y"] {
        let said = ada.post(&path, key, body.clone()).await;
        assert_eq!(said.code(), (422, "validation_failed"), "{key}");
        assert_eq!(said.body["fields"][0]["path"], "Idempotency-Key");
    }
    // Another place, key or sender is another request.
    let eve = Sender::new(&desk, "eve@example.org").await;
    for (sender, key) in [(&ada, "two"), (&eve, "one")] {
        let said = sender.post(&path, key, body.clone()).await;
        assert_eq!((said.status, said.is_replayed()), (202, false), "{key}");
    }
    assert_eq!(n_events(&desk, EventKind::MessageQueued).await, 3);
}

async fn an_answer_is_given_again_as_it_was(desk: SignInDesk) {
    let ada = Sender::new(&desk, ADA).await;
    let task = desk.test.add_task(1, &[]).await.id;
    let cancel = format!("/tasks/{task}/cancel");
    let first = ada.post(&cancel, "cancel", Value::Null).await;
    assert_eq!(
        (first.status, first.is_replayed()),
        (200, false),
        "{}",
        first.body
    );
    let retried = ada
        .post(&format!("/tasks/{task}/retry"), "retry", Value::Null)
        .await;
    assert_eq!(retried.body["status"], "pending", "{}", retried.body);
    let again = ada.post(&cancel, "cancel", Value::Null).await;
    assert_eq!((again.status, again.is_replayed()), (200, true));
    assert_eq!(again.body, first.body);
    assert_eq!(desk.test.task_now(task).await.status, TaskStatus::Pending);
    // Whoever lost the right to do it is not told what it came to.
    let mut conn = RawConnection::open(desk.test.database_url()).await.unwrap();
    conn.execute("update memberships set role = 'viewer'")
        .await
        .unwrap();
    desk.test.advance_clock(6);
    let said = ada.post(&cancel, "cancel", Value::Null).await;
    assert_eq!(said.code(), (403, "forbidden"), "{}", said.body);
}

async fn what_was_done_is_answered_from_the_rows_where_its_answer_is_lost(desk: SignInDesk) {
    let ada = Sender::new(&desk, ADA).await;
    let task = desk.test.add_task(1, &[]).await.id;
    let cancel = format!("/tasks/{task}/cancel");
    let first = ada.post(&cancel, "cancel", Value::Null).await;
    assert_eq!(first.status, 200, "{}", first.body);
    // As a process leaves it that dies between the change and the answer.
    let mut conn = RawConnection::open(desk.test.database_url()).await.unwrap();
    conn.execute("delete from kept_answers").await.unwrap();
    conn.execute("update request_keys set state = 'done', status = null")
        .await
        .unwrap();
    let said = ada.post(&cancel, "cancel", Value::Null).await;
    assert_eq!(said.code(), (409, "idempotency_in_progress"));
    desk.test.advance_clock(61);
    for _ in 0..2 {
        let said = ada.post(&cancel, "cancel", Value::Null).await;
        assert_eq!(
            (said.status, said.is_replayed()),
            (200, true),
            "{}",
            said.body
        );
        assert_eq!(said.body, first.body);
    }
    assert_eq!(n_events(&desk, EventKind::TaskCancelled).await, 1);
    // What cannot be told from the rows is not done again.
    let body = json!({ "name": "ci", "scopes": ["spec:read"], "expires_in_days": 1 });
    let made = ada.post("/auth/api-keys", "key", body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    conn.execute("update request_keys set state = 'done'")
        .await
        .unwrap();
    desk.test.advance_clock(61);
    let said = ada.post("/auth/api-keys", "key", body).await;
    assert_eq!(said.code(), (409, "already_done"), "{}", said.body);
    let (_, told) = desk
        .ask((Method::GET, "/auth/api-keys"), Some(&ada.token), None)
        .await;
    assert_eq!(told["items"].as_array().unwrap().len(), 1, "{told}");
}

async fn a_refusal_frees_the_key_and_a_secret_is_told_once(desk: SignInDesk) {
    let ada = Sender::new(&desk, ADA).await;
    let task = desk.test.add_task(1, &[]).await.id;
    let retry = format!("/tasks/{task}/retry");
    let said = ada.post(&retry, "re\ttry", Value::Null).await;
    assert_eq!(said.code(), (422, "validation_failed"), "{}", said.body);
    for _ in 0..2 {
        let said = ada.post(&retry, "retry", Value::Null).await;
        assert_eq!(said.code(), (409, "invalid_transition"), "{}", said.body);
    }
    ada.post(&format!("/tasks/{task}/cancel"), "cancel", Value::Null)
        .await;
    let said = ada.post(&retry, "retry", Value::Null).await;
    assert_eq!(
        (said.status, said.is_replayed()),
        (200, false),
        "{}",
        said.body
    );
    let body = json!({ "name": "ci", "scopes": ["spec:read"], "expires_in_days": 1 });
    let made = ada.post("/auth/api-keys", "key", body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let said = ada.post("/auth/api-keys", "key", body).await;
    assert_eq!(said.code(), (409, "already_shown"), "{}", said.body);
    // The same where an organisation is told its key.
    let path = format!("/organizations/{}/api-keys", OrgId::LOCAL);
    let project = desk.test.spec.project_id;
    let body = json!({ "name": "agent", "project_id": project, "expires_in_days": 1 });
    let boss = Sender::in_role(&desk, "boss@example.org", SystemRole::Owner).await;
    let issued = boss.post(&path, "agents", body.clone()).await;
    assert_eq!(issued.status, 201, "{}", issued.body);
    let said = boss.post(&path, "agents", body).await;
    assert_eq!(said.code(), (409, "already_shown"), "{}", said.body);
    let mut conn = RawConnection::open(desk.test.database_url()).await.unwrap();
    let kept = conn.rows("select body from kept_answers").await.unwrap();
    let kept = format!("{kept:?}");
    for told in [&made, &issued] {
        let key = told.body["key"].as_str().unwrap();
        assert!(!kept.contains(key), "a secret was kept");
    }
}

/// How many refusals of `action` the audit log of `org` tells of.
async fn n_denied(desk: &SignInDesk, org: OrgId, action: AuditAction) -> usize {
    let rows = desk.accounts.store.tenant(org);
    let told = rows.read(async |tx| audit_log::entries_after(tx, 0).await);
    let is_denied = |entry: &&audit_log::AuditEntry| {
        entry.action == action && entry.outcome == AuditOutcome::Denied
    };
    told.await.unwrap().iter().filter(is_denied).count()
}

struct NamedEscalation {
    path: String,
    body: Value,
    /// Whose log tells of it, and as what.
    log: OrgId,
    action: AuditAction,
    /// Roles without and with the right to do it.
    too_low: &'static str,
    enough: &'static str,
}

async fn a_refusal_that_the_audit_log_tells_of_frees_the_key(desk: SignInDesk) {
    let ada = Sender::in_role(&desk, ADA, SystemRole::Admin).await;
    let cases = [
        NamedEscalation {
            path: format!("/organizations/{}/roles", OrgId::LOCAL),
            body: json!({ "name": "Closer", "permissions": ["org:delete"] }),
            log: OrgId::LOCAL,
            action: AuditAction::RoleCreated,
            too_low: "admin",
            enough: "owner",
        },
        NamedEscalation {
            path: "/auth/api-keys".to_owned(),
            body: json!({ "name": "ci", "scopes": ["ticket:write"], "expires_in_days": 1 }),
            log: OrgId::PLATFORM,
            action: AuditAction::ApiKeyCreated,
            too_low: "viewer",
            enough: "member",
        },
    ];
    let mut conn = RawConnection::open(desk.test.database_url()).await.unwrap();
    for case in cases {
        for (role, is_enough) in [(case.too_low, false), (case.enough, true)] {
            conn.execute(&format!("update memberships set role = '{role}'"))
                .await
                .unwrap();
            desk.test.advance_clock(6);
            let said = ada.post(&case.path, "named", case.body.clone()).await;
            // It was not done: with the right to do it, the same request does it.
            match is_enough {
                true => assert_eq!((said.status, said.is_replayed()), (201, false), "{role}"),
                false => assert_eq!(said.code(), (403, "privilege_escalation"), "{role}"),
            }
            assert_eq!(n_denied(&desk, case.log, case.action).await, 1, "{role}");
        }
    }
}
