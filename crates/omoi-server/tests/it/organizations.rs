//! Organisations over HTTP: members, roles and what was done, each for whom it is.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use axum::http::{Method, Request};
use serde_json::{Value, json};

use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_server::ApiDoor;

use crate::api::{TOKEN, router_with};
use crate::ask::ask;
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, refused};

both!(
    an_organisation_is_of_whoever_made_it,
    no_organisation_is_made_by_the_folder,
    a_role_is_changed_by_its_version,
    what_was_done_is_told_to_those_who_may_know,
    only_accounts_that_the_caller_knows_become_members,
);

const LOCAL: &str = "/organizations/01930000-0000-7000-8000-000000000001";

async fn token_of(desk: &SignInDesk, email: &str) -> String {
    desk.sign_in(email, PASSWORD).await.access_token
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn an_organisation_is_of_whoever_made_it(desk: SignInDesk) {
    let owner = [(OrgId::LOCAL, SystemRole::Owner)];
    desk.add_user("ada@example.org", &[]).await;
    desk.add_user("bob@example.org", &owner).await;
    let (ada, bob) = (
        token_of(&desk, "ada@example.org").await,
        token_of(&desk, "bob@example.org").await,
    );
    let acme = json!({ "name": "Acme", "slug": "acme" });
    let (status, made) = desk
        .ask(
            (Method::POST, "/organizations"),
            Some(&ada),
            Some(acme.clone()),
        )
        .await;
    assert_eq!((status, &made["slug"]), (201, &json!("acme")), "{made}");
    let taken = desk.code_of((Method::POST, "/organizations"), &bob, Some(acme));
    assert_eq!(taken.await, refused(409, "conflict"));
    let path = format!("/organizations/{}", made["id"].as_str().unwrap());
    let (_, listed) = desk
        .ask((Method::GET, "/organizations"), Some(&ada), None)
        .await;
    assert_eq!(listed["items"][0]["id"], made["id"]);
    assert_eq!(
        desk.ask((Method::GET, &path), Some(&ada), None).await.0,
        200
    );
    // Whoever is no member learns nothing, not even that it is there.
    let role = json!({ "name": "Reader", "permissions": ["spec:read"] });
    let renamed = json!({ "name": "Mine" });
    let roles = format!("{path}/roles");
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::GET, format!("{path}/members"), None),
        (Method::GET, format!("{path}/audit"), None),
        (Method::PATCH, path.clone(), Some(renamed.clone())),
        (Method::DELETE, path.clone(), None),
        (Method::POST, roles.clone(), Some(role.clone())),
    ] {
        let said = desk.code_of((method, &path), &bob, body).await;
        assert_eq!(said, refused(404, "not_found"), "{path}");
    }
    let (status, changed) = desk
        .ask((Method::PATCH, &path), Some(&ada), Some(renamed))
        .await;
    assert_eq!(
        (status, &changed["name"], &changed["version"]),
        (200, &json!("Mine"), &json!(1))
    );
    let (status, _) = desk
        .ask((Method::POST, &roles), Some(&ada), Some(role))
        .await;
    assert_eq!(status, 201);
    let enter = json!({ "reason": "because" });
    let stays = format!("{path}/staff-entries");
    let said = desk
        .code_of((Method::POST, &stays), &bob, Some(enter))
        .await;
    assert_eq!(said, refused(403, "forbidden"));
    assert_eq!(
        desk.ask((Method::DELETE, &path), Some(&ada), None).await.0,
        204
    );
    let said = desk.code_of(
        (Method::PATCH, &path),
        &ada,
        Some(json!({ "name": "Again" })),
    );
    assert_eq!(said.await, refused(403, "forbidden"));
    let back = format!("{path}/restore");
    assert_eq!(
        desk.ask((Method::POST, &back), Some(&ada), None).await.0,
        204
    );
}

/// The folder's token opens `local` alone: an organisation that it made would be nobody's.
async fn no_organisation_is_made_by_the_folder(desk: SignInDesk) {
    let router = router_with(&desk.test, desk.accounts.clone(), ApiDoor::Folder);
    let system = desk.accounts.store.system();
    let before = system.organisations().await.unwrap();
    let body = json!({ "name": "Acme Works", "slug": "acme" }).to_string();
    let route = (&Method::POST, "/api/v1/organizations");
    let (status, told) = ask(&router, route, Some(TOKEN), body.into()).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (status.as_u16(), &told["error"]),
        (403, &json!("forbidden")),
        "{told}"
    );
    assert!(told["hint"].as_str().unwrap().contains("add-organisation"));
    assert_eq!(system.organisations().await.unwrap(), before);
}

async fn a_role_is_changed_by_its_version(desk: SignInDesk) {
    let of = |role| [(OrgId::LOCAL, role)];
    desk.add_user("ada@example.org", &of(SystemRole::Owner))
        .await;
    let bob = desk
        .add_user("bob@example.org", &of(SystemRole::Member))
        .await;
    let ada = token_of(&desk, "ada@example.org").await;
    let members = format!("{LOCAL}/members");
    let (_, listed) = desk.ask((Method::GET, &members), Some(&ada), None).await;
    let items = listed["items"].as_array().unwrap();
    let bobs = items
        .iter()
        .find(|one| one["user_id"] == json!(bob))
        .unwrap();
    let path = format!("{members}/{}", bobs["id"].as_str().unwrap());
    let viewer = json!({ "role_id": SystemRole::Viewer.role_id() });
    let change = async |version: Option<&str>| {
        let mut request = Request::builder()
            .method(Method::PATCH)
            .uri(format!("/api/v1{path}"))
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {ada}"));
        if let Some(version) = version {
            request = request.header(IF_MATCH, version);
        }
        let body = Body::from(viewer.to_string());
        desk.send(request.body(body).unwrap()).await
    };
    let (status, told) = change(None).await;
    assert_eq!(
        (status, &told["error"]),
        (428, &json!("precondition_required"))
    );
    let (status, told) = change(Some("\"0\"")).await;
    assert_eq!(
        (status, &told["role_name"]),
        (200, &json!("viewer")),
        "{told}"
    );
    let (status, told) = change(Some("\"0\"")).await;
    assert_eq!((status, &told["error"]), (412, &json!("stale_version")));
    assert_eq!(told["context"]["current"]["version"], json!(1));
    // `*` means whichever version there is, and says so.
    let (status, told) = change(Some("*")).await;
    assert_eq!((status, &told["version"]), (200, &json!(2)), "{told}");
    // A viewer sees members, and changes none.
    let bob = token_of(&desk, "bob@example.org").await;
    assert_eq!(
        desk.ask((Method::GET, &members), Some(&bob), None).await.0,
        200
    );
    let said = desk.code_of((Method::DELETE, &path), &bob, None).await;
    assert_eq!(said, refused(403, "forbidden"));
}

async fn what_was_done_is_told_to_those_who_may_know(desk: SignInDesk) {
    let of = |role| [(OrgId::LOCAL, role)];
    desk.add_user("ada@example.org", &of(SystemRole::Owner))
        .await;
    desk.add_user("bob@example.org", &of(SystemRole::Member))
        .await;
    let (ada, bob) = (
        token_of(&desk, "ada@example.org").await,
        token_of(&desk, "bob@example.org").await,
    );
    let role = json!({ "name": "Reader", "permissions": ["spec:read"] });
    let roles = format!("{LOCAL}/roles");
    let (status, made) = desk
        .ask((Method::POST, &roles), Some(&ada), Some(role))
        .await;
    assert_eq!(status, 201, "{made}");
    let audit = format!("{LOCAL}/audit");
    assert_eq!(
        desk.code_of((Method::GET, &audit), &bob, None).await,
        refused(403, "forbidden")
    );
    let (_, told) = desk.ask((Method::GET, &audit), Some(&ada), None).await;
    // The refusal is told of, too.
    let denied = &told["items"][0];
    assert_eq!(denied["action"], "permission_denied", "{told}");
    assert_eq!(denied["after"]["permission"], "org:audit:read");
    let newest = &told["items"][1];
    assert_eq!(newest["action"], "role_created", "{told}");
    assert_eq!(newest["target_id"], made["id"]);
    assert_eq!(newest["after"]["name"], "Reader");
    assert!(
        newest["ip"].is_string()
            && newest["request_id"].is_string()
            && newest["credential_id"].is_string()
    );
    let filtered = format!("{audit}?action=member_added&limit=1");
    let (_, page) = desk.ask((Method::GET, &filtered), Some(&ada), None).await;
    assert_eq!(page["items"][0]["action"], "member_added");
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = format!("{filtered}&cursor={cursor}");
    let (_, page) = desk.ask((Method::GET, &next), Some(&ada), None).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let request = Request::builder()
        .uri(format!("/api/v1{audit}/export"))
        .header(AUTHORIZATION, format!("Bearer {ada}"));
    let lines = desk
        .send_for_text(request.body(Body::empty()).unwrap())
        .await;
    let entries: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let numbers: Vec<i64> = entries
        .iter()
        .map(|one| one["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=entries.len() as i64).collect::<Vec<_>>());
    assert_eq!(entries.last().unwrap()["action"], "export_audit");
}

/// An owner of one organisation names accounts by their ids: only those whom they meet elsewhere are there for them.
async fn only_accounts_that_the_caller_knows_become_members(desk: SignInDesk) {
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    let ada = [
        (OrgId::LOCAL, SystemRole::Owner),
        (elsewhere, SystemRole::Viewer),
    ];
    desk.add_user("ada@example.org", &ada).await;
    let bob = [(OrgId::LOCAL, SystemRole::Owner)];
    desk.add_user("bob@example.org", &bob).await;
    let eve = [(elsewhere, SystemRole::Member)];
    let eve = desk.add_user("eve@example.org", &eve).await.to_string();
    let alone = desk.add_user("al@example.org", &[]).await.to_string();
    let members = format!("{LOCAL}/members");
    let add = async |token: &str, user: &str| {
        let body = json!({ "user_id": user, "role_id": SystemRole::Viewer.role_id() });
        let (status, mut told) = desk
            .ask((Method::POST, &members), Some(token), Some(body))
            .await;
        told["request_id"] = Value::Null;
        (status, told.to_string().replace(user, "ID"))
    };
    let list = async |token: &str| {
        let (_, listed) = desk.ask((Method::GET, &members), Some(token), None).await;
        listed["items"].as_array().unwrap().len()
    };
    let bob = token_of(&desk, "bob@example.org").await;
    let before = list(&bob).await;
    let unknown = add(&bob, UNKNOWN).await;
    assert_eq!(unknown.0, 404, "{unknown:?}");
    for user in [&eve, &alone] {
        assert_eq!(add(&bob, user).await, unknown);
    }
    let ada = token_of(&desk, "ada@example.org").await;
    assert_eq!(add(&ada, &alone).await, unknown);
    assert_eq!(list(&bob).await, before);
    let (status, told) = add(&ada, &eve).await;
    assert_eq!(status, 201, "{told}");
    assert_eq!(list(&bob).await, before + 1);
    // Whoever is a member by now is known, and told so.
    let (status, told) = add(&bob, &eve).await;
    assert_eq!(status, 409, "{told}");
}
