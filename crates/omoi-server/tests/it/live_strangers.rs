//! Live events asked for by whoever belongs to another organisation: ids of this one are answered as ids that no row has,
//! and nothing is told of them, by a socket or by a stream.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use serde_json::{Value, json};

use omoi_domain::access::role::SystemRole;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Event;
use omoi_domain::id::{OrgId, ProjectId};
use omoi_server::ApiDoor;
use omoi_store::{StoreError, Tx, projects};

use crate::event_receiver::{Served, tell_spec};
use crate::live_stream::{next_text, open_as, spec_created, whole_text};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN};

both!(
    ids_of_others_are_answered_as_unknown_ones,
    nothing_is_told_of_ids_of_others,
);

const ADA: &str = "ada@example.org";
const EVE: &str = "eve@example.org";

/// Tokens of a viewer here, and of the owner of another organisation.
async fn two_callers(desk: &SignInDesk) -> [String; 2] {
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    desk.add_user(ADA, &[(OrgId::LOCAL, SystemRole::Viewer)])
        .await;
    desk.add_user(EVE, &[(elsewhere, SystemRole::Owner)]).await;
    [
        desk.sign_in(ADA, PASSWORD).await.access_token,
        desk.sign_in(EVE, PASSWORD).await.access_token,
    ]
}

/// A project of the other organisation, of which a spec is told.
async fn tell_elsewhere(desk: &SignInDesk) -> ProjectId {
    let tenant = desk.accounts.store.tenant(ELSEWHERE.parse().unwrap());
    let tell = async |tx: &mut Tx| -> Result<ProjectId, StoreError> {
        let project = projects::ensure(tx, "elsewhere", "/src/elsewhere").await?;
        let mut created = spec_created(&desk.test);
        created.spec_id = tx.new_id();
        tx.emit(Some(project.id), None, Event::SpecCreated(created));
        Ok(project.id)
    };
    tenant.write(CrashPoint::SpecCreated, tell).await.unwrap()
}

/// An answer with `id` for what was asked for, and without what differs between any two.
fn compared(told: &Value, id: &str) -> String {
    let mut told = told.clone();
    if told.get("request_id").is_some() {
        told["request_id"] = Value::Null;
    }
    told.to_string().replace(id, "ID")
}

async fn ids_of_others_are_answered_as_unknown_ones(desk: SignInDesk) {
    let served = Served::new(&desk.test, &desk.accounts, ApiDoor::Network).await;
    let task = desk.test.add_task(1, &[]).await;
    tell_elsewhere(&desk).await;
    let [_, eve] = two_callers(&desk).await;
    let mut socket = served.enter("", &eve).await;
    let (spec, project) = (desk.test.spec.id, desk.test.spec.project_id);
    for (list, id) in [
        ("project_ids", project.to_string()),
        ("entity_ids", project.to_string()),
        ("entity_ids", spec.to_string()),
        ("entity_ids", task.id.to_string()),
    ] {
        let mut answers = Vec::new();
        let mut streams = Vec::new();
        for id in [id.as_str(), UNKNOWN] {
            let subscribe = json!({ "type": "subscribe", "mode": "replace", list: [id] });
            answers.push(compared(&socket.ask(subscribe).await, id));
            let query = format!("once=true&after_seq=0&{list}={id}");
            let (status, media, stream) = open_as(&served.router, &eve, &query, None).await;
            let text = whole_text(stream).await.replace(id, "ID");
            assert!(!text.contains("data:"), "{text}");
            streams.push((status, media, text));
        }
        assert!(answers[0].contains("subscribed"), "{}", answers[0]);
        assert_eq!(answers[0], answers[1], "{list}");
        assert_eq!(streams[0].0, 200);
        assert_eq!(streams[0], streams[1], "{list}");
    }
    // Places in the log of an organisation that is not theirs, and that organisation by its name.
    let local = OrgId::LOCAL.to_string();
    let (mut answers, mut refusals) = (Vec::new(), Vec::new());
    for org in [local.as_str(), UNKNOWN] {
        let subscribe = json!({ "type": "subscribe", "after_seq": format!("{org}=1") });
        let told = socket.ask(subscribe).await;
        assert_eq!(told["error"], "invalid_cursor", "{told}");
        answers.push(compared(&told, org));
        let request = Request::builder()
            .uri("/api/v1/events/stream?once=true")
            .header("x-organization-id", org)
            .header(AUTHORIZATION, format!("Bearer {eve}"));
        let (status, told) = desk.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((status, &told["error"]), (404, &json!("not_found")));
        refusals.push(compared(&told, org));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(refusals[0], refusals[1]);
}

async fn nothing_is_told_of_ids_of_others(desk: SignInDesk) {
    let served = Served::new(&desk.test, &desk.accounts, ApiDoor::Network).await;
    let own = tell_elsewhere(&desk).await;
    let [ada, eve] = two_callers(&desk).await;
    let (spec, project) = (desk.test.spec.id, desk.test.spec.project_id);
    for query in [
        format!("project_ids={project},{own}"),
        format!("entity_ids={spec},{project},{own}"),
    ] {
        let mut theirs = served.enter(&query, &ada).await;
        let mut socket = served.enter(&query, &eve).await;
        let (status, _, mut stream) = open_as(&served.router, &eve, &query, None).await;
        assert_eq!(status, 200);
        tell_spec(&desk.test).await;
        // Whoever may be told of it was told.
        let told = theirs.told().await;
        assert_eq!(told["org_id"], json!(OrgId::LOCAL), "{query}: {told}");
        // The stranger is told of nothing but what comes after it in their own organisation.
        tell_elsewhere(&desk).await;
        let told = socket.told().await;
        assert_eq!(told["org_id"], json!(ELSEWHERE), "{query}: {told}");
        let told = next_text(&mut stream).await.unwrap();
        assert!(
            told.contains(ELSEWHERE) && !told.contains(&OrgId::LOCAL.to_string()),
            "{query}: {told}"
        );
    }
}
