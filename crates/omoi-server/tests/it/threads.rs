//! Threads in which people speak with agents.

use axum::http::Method;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_store::messages;
use serde_json::{Value, json};

use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN};

both!(
    people_speak_with_agents_in_threads,
    others_see_no_thread_and_viewers_change_none,
    what_cannot_be_said_is_refused_by_name,
);

/// Somebody who is signed in.
struct Speaker<'a> {
    desk: &'a SignInDesk,
    id: String,
    token: String,
}

impl Speaker<'_> {
    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let post = (Method::POST, path);
        self.desk.ask(post, Some(&self.token), Some(body)).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.desk
            .ask((Method::GET, path), Some(&self.token), None)
            .await
    }

    /// Status and code of a refusal.
    async fn refused(&self, path: &str, body: Value) -> (u16, String) {
        refusal_of(self.post(path, body).await)
    }
}

async fn member<'a>(desk: &'a SignInDesk, mail: &str, org: OrgId, role: SystemRole) -> Speaker<'a> {
    let id = desk.add_user(mail, &[(org, role)]).await.to_string();
    let token = desk.sign_in(mail, PASSWORD).await.access_token;
    Speaker { desk, id, token }
}

/// Status and code of an answer.
fn refusal_of((status, told): (u16, Value)) -> (u16, String) {
    let code = told["error"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

const THREADS: &str = "/collaboration/threads";
const MESSAGES: &str = "/collaboration/messages";

async fn people_speak_with_agents_in_threads(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let ada = member(&desk, "ada@example.org", OrgId::LOCAL, SystemRole::Admin).await;
    let bob = member(&desk, "bob@example.org", OrgId::LOCAL, SystemRole::Member).await;
    let open = json!({ "thread_type": "consultation", "agents": ["TSK-001"], "users": [bob.id] });
    let (status, thread) = ada.post(THREADS, open.clone()).await;
    assert_eq!(status, 201, "{thread}");
    let (status, again) = ada.post(THREADS, open).await;
    assert_eq!((status, &again["id"]), (200, &thread["id"]), "{again}");
    let kinds = thread["participants"].as_array().unwrap().iter();
    let mut kinds: Vec<_> = kinds.map(|one| one["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["agent", "user", "user"]);
    let id = thread["id"].as_str().unwrap();
    let say =
        json!({ "thread_id": id, "message_type": "question", "content": "Which port?\nNow!" });
    let (status, message) = ada.post(MESSAGES, say).await;
    assert_eq!(status, 201, "{message}");
    let mut tx = desk.test.read_tx().await;
    let queued = messages::open(&mut tx, task.id).await.unwrap();
    drop(tx);
    assert!(
        queued[0].content.contains("> Which port?\n> Now!\n"),
        "{queued:?}"
    );
    // The agent has yet to read it, and so has Bob.
    let waits = message["deliveries"].as_array().unwrap().iter();
    let waits = waits.filter(|told| told["delivered_at"].is_null()).count();
    assert_eq!(
        (waits, message["deliveries"].as_array().unwrap().len()),
        (1, 2)
    );
    let listed = format!("{THREADS}/{id}/messages");
    let unread = async |who: &Speaker<'_>| {
        let (_, told) = who.get(&format!("{listed}?unread=true")).await;
        told["items"].as_array().unwrap().len()
    };
    assert_eq!((unread(&ada).await, unread(&bob).await), (0, 1));
    let read = format!("{MESSAGES}/{}/read", message["id"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(bob.post(&read, json!({})).await.0, 200);
    }
    assert_eq!(unread(&bob).await, 0);
    assert_eq!(
        ada.refused(&read, json!({})).await,
        (403, "forbidden".to_owned())
    );
    filters_and_end(&ada, (id, task.id.to_string().as_str())).await;
}

/// The lists find the thread by what it is about; closed it takes no messages.
async fn filters_and_end(ada: &Speaker<'_>, (id, task): (&str, &str)) {
    for (query, expected) in [
        (format!("with_agent={task}"), 1),
        (format!("with_user={}", ada.id), 1),
        (format!("with_user={UNKNOWN}"), 0),
        ("status=active".to_owned(), 1),
        ("status=resolved".to_owned(), 0),
    ] {
        let (_, told) = ada.get(&format!("{THREADS}?{query}")).await;
        assert_eq!(
            told["items"].as_array().unwrap().len(),
            expected,
            "{query}: {told}"
        );
    }
    let (status, closed) = ada.post(&format!("{THREADS}/{id}/close"), json!({})).await;
    assert_eq!(
        (status, &closed["status"]),
        (200, &json!("resolved")),
        "{closed}"
    );
    let closed = (409, "thread_closed".to_owned());
    assert_eq!(
        ada.refused(&format!("{THREADS}/{id}/close"), json!({}))
            .await,
        closed
    );
    let say = json!({ "thread_id": id, "message_type": "info", "content": "Late." });
    assert_eq!(ada.refused(MESSAGES, say).await, closed);
    let (_, told) = ada.get("/events?event_types=thread.*,message.*").await;
    let told = told["items"].as_array().unwrap().iter();
    let mut told: Vec<_> = told
        .map(|event| event["event_type"].as_str().unwrap())
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "message.queued",
            "message.read",
            "message.sent",
            "thread.closed",
            "thread.opened"
        ]
    );
}

async fn others_see_no_thread_and_viewers_change_none(desk: SignInDesk) {
    desk.test.add_task(1, &[]).await;
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    let ada = member(&desk, "ada@example.org", OrgId::LOCAL, SystemRole::Admin).await;
    let eve = member(&desk, "eve@example.org", elsewhere, SystemRole::Owner).await;
    let vera = member(&desk, "vera@example.org", OrgId::LOCAL, SystemRole::Viewer).await;
    let open = json!({ "thread_type": "review", "agents": ["TSK-001"] });
    let (_, thread) = ada.post(THREADS, open.clone()).await;
    let id = thread["id"].as_str().unwrap().to_owned();
    let say = json!({ "thread_id": id, "message_type": "info", "content": "Look." });
    let (_, message) = ada.post(MESSAGES, say.clone()).await;
    let read = format!("{MESSAGES}/{}/read", message["id"].as_str().unwrap());
    let close = format!("{THREADS}/{id}/close");
    let missing = (404, "not_found".to_owned());
    for (path, body) in [
        (read.as_str(), json!({})),
        (close.as_str(), json!({})),
        (MESSAGES, say.clone()),
    ] {
        assert_eq!(eve.refused(path, body.clone()).await, missing, "{path}");
        let forbidden = (403, "forbidden".to_owned());
        assert_eq!(vera.refused(path, body).await, forbidden, "{path}");
    }
    for path in [
        format!("{THREADS}/{id}"),
        format!("{THREADS}/{id}/messages"),
    ] {
        assert_eq!(refusal_of(eve.get(&path).await), missing, "{path}");
        assert_eq!(vera.get(&path).await.0, 200, "{path}");
        let unknown = path.replace(&id, UNKNOWN);
        assert_eq!(refusal_of(ada.get(&unknown).await), missing, "{unknown}");
    }
    let (_, listed) = eve.get(THREADS).await;
    assert_eq!(listed["items"], json!([]));
    // Somebody who does not belong to the organisation takes no part.
    let stranger = json!({ "thread_type": "review", "agents": ["TSK-001"], "users": [eve.id] });
    let refused = ada.refused(THREADS, stranger).await;
    assert_eq!(refused, (422, "validation_failed".to_owned()));
}

async fn what_cannot_be_said_is_refused_by_name(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let ada = member(&desk, "ada@example.org", OrgId::LOCAL, SystemRole::Admin).await;
    let invalid = (422, "validation_failed".to_owned());
    for body in [
        json!({ "thread_type": "review" }),
        json!({ "thread_type": "handoff", "agents": ["TSK-001"] }),
        json!({ "thread_type": "review", "agents": vec!["TSK-001"; 51] }),
    ] {
        assert_eq!(ada.refused(THREADS, body.clone()).await, invalid, "{body}");
    }
    let open = json!({ "thread_type": "review", "agents": [task.id] });
    let (_, thread) = ada.post(THREADS, open.clone()).await;
    let id = &thread["id"];
    for (more, expected) in [
        (json!({ "content": " " }), invalid.clone()),
        (
            json!({ "content": "x".repeat((10 << 10) + 1) }),
            invalid.clone(),
        ),
        (
            json!({ "message_type": "handoff_request" }),
            invalid.clone(),
        ),
        (
            json!({ "to_agent": "TSK-001", "to_user": ada.id }),
            invalid.clone(),
        ),
        (json!({ "to_user": ada.id }), invalid.clone()),
        (
            json!({ "to_agent": "TSK-009" }),
            (404, "not_found".to_owned()),
        ),
    ] {
        let mut body = json!({ "thread_id": id, "message_type": "info", "content": "Look." });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        assert_eq!(ada.refused(MESSAGES, body).await, expected, "{more}");
    }
    let (status, _) = ada
        .post(&format!("/tasks/{}/cancel", task.id), json!({}))
        .await;
    assert_eq!(status, 200);
    let over = (409, "task_is_over".to_owned());
    let say = json!({ "thread_id": id, "message_type": "info", "content": "Look." });
    assert_eq!(ada.refused(MESSAGES, say).await, over);
    assert_eq!(ada.refused(THREADS, open).await, over);
    // A person gives orders on their own road, and no message of a thread there.
    let steer = json!({ "content": "x", "message_type": "agent_collaboration" });
    let steered = ada
        .refused(&format!("/tasks/{}/messages", task.id), steer)
        .await;
    assert_eq!(steered, invalid);
}
