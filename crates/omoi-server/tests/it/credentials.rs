//! Who is let in, and how far: every kind of caller, on both databases.

use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use omoi_accounts::access_token::{AccessClaims, AccessTokens};
use omoi_accounts::commands::key::{
    NewApiKey, OrganisationKey, create_organisation_key, revoke_organisation_key,
};
use omoi_accounts::commands::member::{MemberAuthority, remove_member};
use omoi_accounts::commands::register::{Registration, register_user};
use omoi_accounts::context::RequestSource;
use omoi_accounts::error::AccountError;
use omoi_accounts::key_ring::KeyRing;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAction, AuditOutcome};
use omoi_domain::id::{CredentialId, OrgId, ProjectId, TaskId, UserId};
use omoi_domain::time::Timestamp;
use omoi_runtime::clock::Clock as _;
use omoi_runtime::rng::Rng;
use omoi_server::ApiDoor;
use omoi_store::{Tx, audit_log, events, memberships, projects};
use omoi_testkit::deployment::TestDeployment;
use uuid::Uuid;

use crate::api::{TOKEN, router_behind, router_with};
use crate::ask::ask;
use crate::sign_in_desk::{ELSEWHERE, ISSUER, PASSWORD, SignInDesk, UNKNOWN, refused};

both!(
    a_bad_credential_opens_nothing,
    a_role_reaches_as_far_as_it_says,
    a_row_of_another_organisation_is_not_there,
    a_cursor_of_another_organisation_leads_nowhere,
    a_caller_of_several_organisations_acts_where_the_row_is,
    an_agents_key_stays_in_its_project,
    a_refused_key_is_told_in_the_audit_log,
);

const ADA: &str = "ada@example.org";
const MEMBER: [(OrgId, SystemRole); 1] = [(OrgId::LOCAL, SystemRole::Member)];

fn elsewhere() -> OrgId {
    ELSEWHERE.parse().unwrap()
}

fn jti() -> Uuid {
    Uuid::from_u128(7)
}

/// Tokens that nobody may get in by, and one that everybody should: the same claims, signed well.
pub(crate) struct ForgedTokens {
    pub(crate) good: String,
    pub(crate) bad: Vec<(&'static str, String)>,
}

pub(crate) fn forge_tokens(
    desk: &SignInDesk,
    claims: &AccessClaims,
    now: Timestamp,
) -> ForgedTokens {
    let sign = |tokens: &AccessTokens, now: Timestamp| {
        let token = tokens.sign_token(claims, jti(), now).unwrap();
        token.expose_secret().to_owned()
    };
    let seconds = std::time::Duration::from_secs;
    let own = &desk.accounts.access_tokens;
    let good = sign(own, now);
    let [_, body, mac] = good.split('.').collect::<Vec<_>>()[..] else {
        unreachable!("a token has three parts")
    };
    let kid = desk.accounts.ring.signing_key().key_name();
    let with_header = |header: &str, body: &str, mac: &str| {
        format!("{}.{body}.{mac}", URL_SAFE_NO_PAD.encode(header))
    };
    let other_ring = KeyRing::parse(&KeyRing::draw_text(&Rng::seeded(99))).unwrap();
    let others = sign(&AccessTokens::new(&other_ring, ISSUER).unwrap(), now);
    let [_, other_body, other_mac] = others.split('.').collect::<Vec<_>>()[..] else {
        unreachable!("a token has three parts")
    };
    let none = format!(r#"{{"alg":"none","typ":"JWT","kid":"{kid}"}}"#);
    let swapped = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}"}}"#);
    let other_kid = r#"{"alg":"HS256","typ":"JWT","kid":"other"}"#;
    let other_audience = AccessTokens::new(&desk.accounts.ring, "elsewhere").unwrap();
    let bad = vec![
        ("nothing", String::new()),
        ("malformed", "a.b.c".to_owned()),
        ("alg none", with_header(&none, body, "")),
        ("alg none, signed", with_header(&none, body, mac)),
        ("swapped kid", with_header(&swapped, other_body, other_mac)),
        ("unknown kid", with_header(other_kid, body, mac)),
        ("another deployment's key", others.clone()),
        ("another audience", sign(&other_audience, now)),
        ("expired", sign(own, now - seconds(15 * 60 + 60))),
        ("of later", sign(own, now + seconds(61))),
        ("the folder's token, from the network", TOKEN.to_owned()),
        ("a mistyped key", format!("sk_live_{}", "x".repeat(49))),
    ];
    ForgedTokens { good, bad }
}

async fn a_bad_credential_opens_nothing(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let live = desk.test.run_task(task.id).await;
    desk.test.leaves_open_attempts();
    let user = desk.add_user(ADA, &MEMBER).await;
    let pair = desk.sign_in(ADA, PASSWORD).await;
    let claims = AccessClaims {
        user,
        session: pair.session_id,
        epoch: 0,
    };
    let mut forged = forge_tokens(&desk, &claims, desk.test.clock.now());
    forged.bad.push(("an attempt's token", live.token));
    forged.bad.push(("a refresh token", pair.refresh_token));
    let before = desk.events_head().await;
    let cancel = format!("/tasks/{}/cancel", task.id);
    let routes = [
        (Method::GET, "/specs"),
        (Method::POST, cancel.as_str()),
        (Method::GET, "/auth/me"),
        (Method::GET, "/events/stream?once=true"),
    ];
    for (method, path) in &routes {
        for (what, token) in &forged.bad {
            let said = desk.code_of((method.clone(), path), token, None).await;
            assert_eq!(said, refused(401, "unauthenticated"), "{what}: {path}");
        }
    }
    assert_eq!(desk.events_head().await, before);
    for token in [&forged.good, &pair.access_token] {
        let said = desk.code_of((Method::GET, "/specs"), token, None).await;
        assert_eq!(said.0, 200, "{said:?}");
    }
    let logout = (Method::POST, "/auth/logout");
    let said = desk.code_of(logout, &pair.access_token, None).await;
    assert_eq!(said.0, 204, "{said:?}");
    // The other token of the same session ends with it.
    for token in [&forged.good, &pair.access_token] {
        let said = desk.code_of((Method::GET, "/specs"), token, None).await;
        assert_eq!(said, refused(401, "unauthenticated"));
    }
}

/// Who changed the task last.
async fn last_actor(desk: &SignInDesk) -> Actor {
    let spec = desk.test.spec.id;
    let told = events::of_spec(&mut desk.test.read_tx().await, spec, 0).await;
    told.unwrap().last().unwrap().actor
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn a_role_reaches_as_far_as_it_says(mut desk: SignInDesk) {
    let task: TaskId = desk.test.add_task(1, &[]).await.id;
    let ada = desk.add_user(ADA, &MEMBER).await;
    let viewer = [(OrgId::LOCAL, SystemRole::Viewer)];
    desk.add_user("vic@example.org", &viewer).await;
    desk.add_user("nil@example.org", &[]).await;
    let [ada_token, vic, nil] = [
        desk.sign_in(ADA, PASSWORD).await.access_token,
        desk.sign_in("vic@example.org", PASSWORD).await.access_token,
        desk.sign_in("nil@example.org", PASSWORD).await.access_token,
    ];
    let before = desk.events_head().await;
    let shown = format!("/tasks/{task}");
    let cancel = format!("/tasks/{task}/cancel");
    let unknown = format!("/tasks/{UNKNOWN}/cancel");
    for (method, path, token, status, code) in [
        (Method::GET, shown.as_str(), &vic, 200, ""),
        (Method::POST, &cancel, &vic, 403, "forbidden"),
        (
            Method::POST,
            "/tasks/TSK-001/cancel",
            &vic,
            403,
            "forbidden",
        ),
        // What is not there is told before what is lacking.
        (Method::POST, &unknown, &vic, 404, "not_found"),
        (
            Method::POST,
            "/tasks/nonsense/cancel",
            &vic,
            422,
            "validation_failed",
        ),
        (Method::GET, "/admin/status", &vic, 403, "forbidden"),
        (Method::GET, "/admin/status", &ada_token, 403, "forbidden"),
        (
            Method::GET,
            "/trust?repo_path=/src/todo",
            &ada_token,
            404,
            "not_found",
        ),
        (Method::GET, "/specs", &nil, 403, "forbidden"),
        (Method::GET, &shown, &nil, 404, "not_found"),
        (Method::GET, "/auth/me", &nil, 200, ""),
        (
            Method::GET,
            "/events/stream?once=true",
            &nil,
            403,
            "forbidden",
        ),
    ] {
        let said = desk.code_of((method.clone(), path), token, None).await;
        assert_eq!(said, refused(status, code), "{method} {path}");
    }
    let (_, told) = desk.ask((Method::POST, &cancel), Some(&vic), None).await;
    assert_eq!(told["permission"], "task:cancel", "{told}");
    assert_eq!(desk.events_head().await, before);
    let said = desk
        .code_of((Method::POST, &cancel), &ada_token, None)
        .await;
    assert_eq!(said.0, 200, "{said:?}");
    assert_eq!(last_actor(&desk).await, Actor::User(ada));
    removed_members_reach_nothing(&desk, ada, &shown, &ada_token).await;
    unverified_accounts_see_themselves(&desk).await;
    // Where paths of the disk are answered, they are the data folder's alone.
    desk.router = router_with(&desk.test, desk.accounts.clone(), ApiDoor::Loopback);
    let look = (Method::GET, "/trust?repo_path=/src/todo");
    let said = desk.code_of(look, &vic, None).await;
    assert_eq!(said, refused(403, "forbidden"));
}

async fn a_cursor_of_another_organisation_leads_nowhere(mut desk: SignInDesk) {
    desk.test.next_spec(2).await;
    desk.add_user(ADA, &MEMBER).await;
    let other = [(elsewhere(), SystemRole::Member)];
    desk.add_user("eve@example.org", &other).await;
    let ada = desk.sign_in(ADA, PASSWORD).await.access_token;
    let eve = desk.sign_in("eve@example.org", PASSWORD).await.access_token;
    let page = (Method::GET, "/specs?limit=1");
    let (_, told) = desk.ask(page, Some(&ada), None).await;
    let cursor = told["next_cursor"].as_str().unwrap();
    let next = format!("/specs?limit=1&cursor={cursor}");
    let said = desk.code_of((Method::GET, &next), &ada, None).await;
    assert_eq!(said, refused(200, ""));
    let said = desk.code_of((Method::GET, &next), &eve, None).await;
    assert_eq!(said, refused(400, "invalid_cursor"));
}

async fn removed_members_reach_nothing(desk: &SignInDesk, ada: UserId, shown: &str, token: &str) {
    let list = async |tx: &mut Tx| memberships::list_of_user(tx, ada).await;
    let theirs = desk.accounts.store.system().read(list).await.unwrap();
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    remove_member(&desk.accounts, operator, theirs[0].id)
        .await
        .unwrap();
    let said = desk.code_of((Method::GET, shown), token, None).await;
    assert_eq!(said, refused(401, "unauthenticated"));
    let again = desk.sign_in(ADA, PASSWORD).await.access_token;
    let said = desk.code_of((Method::GET, shown), &again, None).await;
    assert_eq!(said, refused(404, "not_found"));
}

async fn unverified_accounts_see_themselves(desk: &SignInDesk) {
    let registration = Registration {
        email: "new@example.org".to_owned(),
        password: PASSWORD.into(),
        full_name: None,
        invitation: None,
    };
    let source = RequestSource {
        ip: "192.0.2.9".parse().unwrap(),
        user_agent: String::new(),
    };
    register_user(&desk.accounts, registration, &source)
        .await
        .unwrap();
    let new = desk.sign_in("new@example.org", PASSWORD).await.access_token;
    for path in ["/specs", "/events/stream?once=true"] {
        let said = desk.code_of((Method::GET, path), &new, None).await;
        assert_eq!(said, refused(403, "email_not_verified"), "{path}");
    }
    let (status, told) = desk.ask((Method::GET, "/auth/me"), Some(&new), None).await;
    assert_eq!(
        (status, &told["is_verified"]),
        (200, &Value::Bool(false)),
        "{told}"
    );
}

/// A refusal without what differs between two requests.
fn compared(mut told: Value, id: &str) -> String {
    told["request_id"] = Value::Null;
    told.to_string().replace(id, "ID")
}

async fn a_row_of_another_organisation_is_not_there(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let owner = [(elsewhere(), SystemRole::Owner)];
    desk.add_user("eve@example.org", &owner).await;
    let viewer = [(elsewhere(), SystemRole::Viewer)];
    desk.add_user("vic@example.org", &viewer).await;
    let spec = desk.test.spec.id.to_string();
    let project = desk.test.spec.project_id.to_string();
    let task = task.id.to_string();
    let before = desk.events_head().await;
    for caller in ["eve@example.org", "vic@example.org"] {
        let token = desk.sign_in(caller, PASSWORD).await.access_token;
        for (method, path, id) in [
            (Method::GET, "/specs/{id}", &spec),
            (Method::GET, "/specs/{id}/trace", &spec),
            (Method::GET, "/specs/project/{id}", &project),
            (Method::GET, "/tasks?spec_id={id}", &spec),
            (Method::GET, "/events?spec_id={id}", &spec),
            (Method::GET, "/tasks/{id}/log", &task),
            (Method::POST, "/specs/{id}/cancel", &spec),
            (Method::POST, "/specs/{id}/execute-tasks", &spec),
            (Method::POST, "/tasks/{id}/cancel", &task),
            (Method::POST, "/tasks/{id}/retry", &task),
        ] {
            let ask_for = async |id: &str| {
                let path = path.replace("{id}", id);
                desk.ask((method.clone(), &path), Some(&token), None).await
            };
            let (foreign, unknown) = (ask_for(id).await, ask_for(UNKNOWN).await);
            assert_eq!((foreign.0, unknown.0), (404, 404), "{path}: {}", foreign.1);
            let foreign = compared(foreign.1, id);
            assert_eq!(foreign, compared(unknown.1, UNKNOWN), "{path}");
        }
        // A filter by a row of others finds nothing, and a list is empty.
        for path in ["/specs".to_owned(), format!("/specs?project_id={project}")] {
            let (status, told) = desk.ask((Method::GET, &path), Some(&token), None).await;
            let n = told["items"].as_array().map(Vec::len);
            assert_eq!((status, n), (200, Some(0)), "{path}: {told}");
        }
    }
    assert_eq!(desk.events_head().await, before);
}

async fn a_caller_of_several_organisations_acts_where_the_row_is(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await.id;
    let roles = [
        (OrgId::LOCAL, SystemRole::Member),
        (elsewhere(), SystemRole::Viewer),
    ];
    let two = desk.add_user("two@example.org", &roles).await;
    let token = desk.sign_in("two@example.org", PASSWORD).await.access_token;
    let get = async |path: &str| desk.code_of((Method::GET, path), &token, None).await;
    assert_eq!(get("/specs/SPEC-1").await.0, 200);
    assert_eq!(get(&format!("/tasks/{task}")).await.0, 200);
    assert_eq!(
        get(&format!("/tasks/{UNKNOWN}")).await,
        refused(404, "not_found")
    );
    assert_eq!(get("/specs").await, refused(422, "validation_failed"));
    let list = async |org: &str| {
        let request = Request::builder()
            .uri("/api/v1/specs")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header("x-organization-id", org);
        let (status, told) = desk.send(request.body(Body::empty()).unwrap()).await;
        (status, told["items"].as_array().map(Vec::len))
    };
    assert_eq!(list(&OrgId::LOCAL.to_string()).await, (200, Some(1)));
    assert_eq!(list(ELSEWHERE).await, (200, Some(0)));
    assert_eq!(list(UNKNOWN).await, (404, None));
    assert_eq!(list("mine").await, (422, None));
    let cancel = format!("/tasks/{task}/cancel");
    let said = desk.code_of((Method::POST, &cancel), &token, None).await;
    assert_eq!(said.0, 200, "{said:?}");
    assert_eq!(last_actor(&desk).await, Actor::User(two));
}

/// A key of an agent at `project`, unless its scope is refused.
async fn agents_key(
    desk: &SignInDesk,
    maker: UserId,
    project: ProjectId,
    scopes: &[&str],
) -> Option<String> {
    let new = NewApiKey {
        name: "agent".to_owned(),
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        days: None,
    };
    let agent = OrganisationKey::Agent(project);
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let made = create_organisation_key(&desk.accounts, operator, maker, agent, new).await;
    match made {
        Ok(made) => Some(made.key.expose_secret().to_owned()),
        Err(AccountError::Escalation(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn a_refused_key_is_told_in_the_audit_log(desk: SignInDesk) {
    let maker = desk.add_user(ADA, &MEMBER).await;
    let operator = || MemberAuthority::of_operator(OrgId::LOCAL);
    let owner = OrganisationKey::Role(MemberRole::System(SystemRole::Member));
    let new = NewApiKey {
        name: "ci".to_owned(),
        scopes: vec!["spec:read".parse().unwrap()],
        days: None,
    };
    let made = create_organisation_key(&desk.accounts, operator(), maker, owner, new).await;
    let made = made.unwrap();
    let (key, id) = (made.key.expose_secret(), made.row.id);
    let ask = async |path: &str, key: &str| desk.code_of((Method::GET, path), key, None).await;
    assert_eq!(ask("/specs", key).await, refused(200, ""));
    assert_eq!(
        ask("/tickets", key).await,
        refused(403, "insufficient_scope")
    );
    revoke_organisation_key(&desk.accounts, operator(), id)
        .await
        .unwrap();
    // Refusals of one key are counted by the minute: this one is the first of its own.
    desk.test.advance_clock(60);
    // Of a client that asks again and again one in ten is told, and nothing of what was never a key.
    for key in [key, key, key, "sk_live_nothing"] {
        assert_eq!(ask("/specs", key).await, refused(401, "unauthenticated"));
    }
    let rows = desk.accounts.store.tenant(OrgId::LOCAL);
    let log = rows.read(async |tx: &mut Tx| audit_log::entries_after(tx, 0).await);
    let mut denied = log.await.unwrap();
    denied.retain(|entry| entry.action == AuditAction::ApiKeyDenied);
    let [beyond, revoked] = denied.as_slice() else {
        panic!("{denied:#?}")
    };
    assert_eq!(
        beyond.credential_id.map(CredentialId::as_uuid),
        Some(id.as_uuid())
    );
    assert_eq!(revoked.target.target_id, Some(id.as_uuid()));
    assert!(
        revoked.ip.is_some() && revoked.request_id.is_some(),
        "{revoked:?}"
    );
    for (entry, says) in [(beyond, "ticket:read"), (revoked, "revoked")] {
        let after = entry.value_after.as_deref().unwrap_or_default();
        assert!(after.contains(says) && !after.contains(key), "{after}");
        assert_eq!(entry.outcome, AuditOutcome::Denied);
        assert_eq!(entry.actor, Actor::Key(id));
    }
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn an_agents_key_stays_in_its_project(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await.id;
    let other = desk
        .test
        .commit(async |tx| projects::ensure(tx, "shop", "/src/shop").await)
        .await
        .unwrap();
    let maker = desk.add_user(ADA, &MEMBER).await;
    let key_of = async |project, scopes: &[&str]| agents_key(&desk, maker, project, scopes).await;
    let wide = key_of(other.id, &["*:*"]).await;
    assert!(wide.is_none(), "no key gets a scope that its role lacks");
    let here = key_of(desk.test.spec.project_id, &["spec:read"])
        .await
        .unwrap();
    let reads = ["spec:read", "task:read", "ticket:read"];
    let there = key_of(other.id, &reads).await.unwrap();
    let project = desk.test.spec.project_id;
    let spec = desk.test.spec.id;
    let shown = format!("/specs/{spec}");
    let listed = format!("/specs?project_id={project}");
    let cancel = format!("/specs/{spec}/cancel");
    let message = format!("/tasks/{task}/messages");
    for (method, path, token, want) in [
        (Method::GET, shown.as_str(), &here, refused(200, "")),
        (Method::GET, listed.as_str(), &here, refused(200, "")),
        (
            Method::GET,
            "/specs",
            &here,
            refused(403, "insufficient_scope"),
        ),
        (
            Method::GET,
            "/specs/SPEC-1",
            &here,
            refused(422, "validation_failed"),
        ),
        (
            Method::POST,
            cancel.as_str(),
            &here,
            refused(403, "forbidden"),
        ),
        // The role has it, the scopes do not.
        (
            Method::POST,
            message.as_str(),
            &here,
            refused(403, "insufficient_scope"),
        ),
        (Method::GET, "/auth/me", &here, refused(403, "forbidden")),
        (
            Method::GET,
            shown.as_str(),
            &there,
            refused(404, "not_found"),
        ),
        (
            Method::GET,
            listed.as_str(),
            &there,
            refused(404, "not_found"),
        ),
    ] {
        let said = desk.code_of((method.clone(), path), token, None).await;
        assert_eq!(said, want, "{method} {path}");
    }
    // One project after its own in a request is none of its own.
    for list in ["specs", "tasks", "tickets"] {
        let both = format!("/{list}?project_id={}&project_id={project}", other.id);
        let (status, told) = desk.ask((Method::GET, &both), Some(&there), None).await;
        assert_eq!(
            (status, &told["items"]),
            (200, &serde_json::json!([])),
            "{both}: {told}"
        );
    }
    an_agents_key_comes_by_its_own_header_and_ends(&desk, &here, &shown).await;
}

async fn an_agents_key_comes_by_its_own_header_and_ends(desk: &SignInDesk, key: &str, shown: &str) {
    let request = Request::builder()
        .uri(format!("/api/v1{shown}"))
        .header("x-api-key", key);
    let said = desk.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(said.0, 200, "{}", said.1);
    // They end after 90 days.
    desk.test.advance_clock(90 * 24 * 3_600);
    let said = desk.code_of((Method::GET, shown), key, None).await;
    assert_eq!(said, refused(401, "unauthenticated"));
}

#[tokio::test]
async fn the_folders_token_opens_the_folders_own_doors_alone() {
    let test = TestDeployment::new().await;
    for (door, expected) in [
        (ApiDoor::Folder, 200),
        (ApiDoor::Loopback, 200),
        (ApiDoor::Network, 401),
    ] {
        let router = router_behind(&test, door);
        for path in ["/api/v1/specs", "/api/v1/admin/status", "/docs/"] {
            let route = (&Method::GET, path);
            let said = ask(&router, route, Some(TOKEN), Body::empty()).await;
            assert_eq!(said.0.as_u16(), expected, "{door:?} {path}");
        }
    }
}
