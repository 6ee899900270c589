//! Projects: made, shown, changed for one version, and put away with what is in them.

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_store::specs;
use omoi_testkit::repo::TestRepo;

use crate::api::{TOKEN, bench, told};
use crate::ask::ask;
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, refused};

both!(a_project_is_made_changed_and_put_away);

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";

/// Status, `ETag` and body of a change that is meant for one version.
async fn change(
    desk: &SignInDesk,
    (method, path): (Method, &str),
    (token, meant): (&str, &str),
    body: Option<Value>,
) -> (u16, String, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(IF_MATCH, meant);
    let body = body.map_or_else(Body::empty, |body| body.to_string().into());
    let request = request.body(body).unwrap();
    let response = desk.router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let tag = response.headers().get(ETAG);
    let tag = tag.map_or("", |tag| tag.to_str().unwrap()).to_owned();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, tag, serde_json::from_slice(&text).unwrap())
}

async fn a_project_is_made_changed_and_put_away(desk: SignInDesk) {
    desk.add_user(ADA, &[(OrgId::LOCAL, SystemRole::Admin)])
        .await;
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    desk.add_user(BOB, &[(elsewhere, SystemRole::Owner)]).await;
    let ada = desk.sign_in(ADA, PASSWORD).await.access_token;
    let bob = desk.sign_in(BOB, PASSWORD).await.access_token;
    let post = |body| desk.ask((Method::POST, "/projects"), Some(&ada), Some(body));
    let (status, made) = post(json!({ "name": " Shop\n", "description": "Kettles" })).await;
    assert_eq!(
        (status, &made["name"], &made["key"]),
        (201, &json!("Shop"), &json!("shop")),
        "{made}"
    );
    assert_eq!(made["autonomous_execution_enabled"], false);
    assert_eq!(made["organization_id"], OrgId::LOCAL.to_string());
    for (body, want) in [
        (json!({ "name": "SHOP" }), (409, "conflict", "/name")),
        (json!({ "name": "" }), (422, "validation_failed", "/name")),
        (json!({}), (422, "validation_failed", "/name")),
        (
            json!({ "name": "a", "org_id": ELSEWHERE }),
            (422, "unknown_field", "/org_id"),
        ),
        (
            json!({ "name": "a", "status": "archived" }),
            (422, "unknown_field", "/status"),
        ),
        (
            json!({ "name": "a", "repo_path": "/src" }),
            (422, "validation_failed", "/repo_path"),
        ),
    ] {
        let (status, told) = post(body.clone()).await;
        let place = told["fields"][0]["path"].as_str().unwrap_or_default();
        let found = (status, told["error"].as_str().unwrap(), place);
        assert_eq!(found, want, "{body}: {told}");
    }
    let by_path = desk.code_of(
        (Method::POST, "/projects"),
        &ada,
        Some(json!({ "repo_path": "/src" })),
    );
    assert_eq!(
        by_path.await,
        refused(403, "forbidden"),
        "paths are the folder's"
    );

    let path = format!("/projects/{}", made["id"].as_str().unwrap());
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::GET, format!("{path}/stats"), None),
        (Method::PATCH, path.clone(), Some(json!({ "name": "Mine" }))),
        (Method::DELETE, path.clone(), None),
    ] {
        let found = desk.code_of((method, &path), &bob, body).await;
        assert_eq!(found, refused(404, "not_found"), "{path}");
    }
    is_changed_for_one_version(&desk, &ada, &path).await;
    takes_its_specs_along(&desk, &ada).await;
}

async fn is_changed_for_one_version(desk: &SignInDesk, ada: &str, path: &str) {
    let patch =
        |meant: &'static str, body| change(desk, (Method::PATCH, path), (ada, meant), Some(body));
    let renamed = json!({ "name": "Store", "description": null, "status": "paused" });
    let (status, tag, told) = patch("\"0\"", renamed).await;
    assert_eq!((status, tag.as_str()), (200, "\"1\""), "{told}");
    let found = (&told["name"], &told["description"], &told["status"]);
    assert_eq!(found, (&json!("Store"), &Value::Null, &json!("paused")));
    let (status, tag, stale) = patch("\"0\"", json!({ "name": "No" })).await;
    assert_eq!((status, tag.as_str()), (412, "\"1\""), "{stale}");
    assert_eq!(stale["context"]["current"]["name"], "Store");
    for body in [
        json!({ "status": "archived" }),
        json!({ "name": null }),
        json!({ "autonomous_execution_enabled": null }),
        json!({ "deploy_check": " " }),
        json!({ "deploy_check": "a\u{0}b" }),
        json!({ "deploy_check": "a".repeat(4_001) }),
        json!({ "deploy_check": ["make", "look"] }),
    ] {
        let (status, _, told) = patch("*", body.clone()).await;
        let (field, _) = body.as_object().unwrap().iter().next().unwrap();
        assert_eq!(
            (status, &told["error"], &told["fields"][0]["path"]),
            (
                422,
                &json!("validation_failed"),
                &json!(format!("/{field}"))
            ),
            "{body}: {told}"
        );
    }
    let (status, _, untouched) = change(desk, (Method::GET, path), (ada, "*"), None).await;
    assert_eq!(
        (status, &untouched["deploy_check"], &untouched["name"]),
        (200, &Value::Null, &json!("Store"))
    );
    let named = json!({ "deploy_check": " curl -sf https://shop.example/health " });
    let (_, _, told) = patch("*", named).await;
    assert_eq!(
        told["deploy_check"], "curl -sf https://shop.example/health",
        "{told}"
    );
    let (_, tag, told) = patch("*", json!({ "deploy_check": null })).await;
    assert_eq!(
        (tag.as_str(), &told["deploy_check"]),
        ("\"3\"", &Value::Null)
    );
    // What changes nothing makes no version.
    let (status, tag, _) = patch("\"3\"", json!({ "name": "Store" })).await;
    assert_eq!((status, tag.as_str()), (200, "\"3\""));
}

/// Puts the project of the test's spec away.
async fn takes_its_specs_along(desk: &SignInDesk, ada: &str) {
    let task = desk.test.add_task(1, &[]).await;
    let path = format!("/projects/{}", desk.test.spec.project_id);
    let stats = format!("{path}/stats");
    let (_, before) = desk.ask((Method::GET, &stats), Some(ada), None).await;
    assert_eq!(
        before["tasks_by_status"],
        json!({ "pending": 1 }),
        "{before}"
    );
    assert_eq!(
        (&before["total_tickets"], &before["active_agents"]),
        (&json!(1), &json!(0))
    );
    let (status, _, told) = change(desk, (Method::DELETE, &path), (ada, "\"9\""), None).await;
    assert_eq!(status, 412, "{told}");
    for _ in 0..2 {
        // The second time nothing is left to do.
        let (status, tag, told) = change(desk, (Method::DELETE, &path), (ada, "*"), None).await;
        assert_eq!(
            (status, tag.as_str(), &told["status"]),
            (200, "\"1\"", &json!("archived"))
        );
        assert_eq!(told["repo_path"], Value::Null, "{told}");
        assert!(told["archived_at"].is_string(), "{told}");
    }
    let acts = format!(
        "/organizations/{}/audit?action=project_archived&action=spec_cancelled",
        OrgId::LOCAL
    );
    let (_, acts) = desk.ask((Method::GET, &acts), Some(ada), None).await;
    let acts: Vec<&Value> = acts["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| &act["action"])
        .collect();
    assert_eq!(acts, ["spec_cancelled", "project_archived"]);
    // What an admin put away, members do not take back.
    desk.add_user("mia@example.org", &[(OrgId::LOCAL, SystemRole::Member)])
        .await;
    let mia = desk.sign_in("mia@example.org", PASSWORD).await.access_token;
    let back = Some(json!({ "status": "active" }));
    let (status, _, told) = change(desk, (Method::PATCH, &path), (&mia, "*"), back).await;
    assert_eq!((status, &told["error"]), (403, &json!("forbidden")));
    assert_eq!(
        desk.test.task_now(task.id).await.status,
        TaskStatus::Cancelled
    );
    let spec = desk.test.spec.id;
    let spec = specs::get(&mut desk.test.read_tx().await, spec)
        .await
        .unwrap();
    assert_eq!(spec.status, SpecStatus::Cancelled);
    let names = async |path: &str| {
        let (status, told) = desk.ask((Method::GET, path), Some(ada), None).await;
        assert_eq!(status, 200, "{told}");
        let items = told["items"].as_array().unwrap().iter();
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("/projects?status=archived").await, ["repo"]);
    assert_eq!(
        names("/projects?status=archived&status=paused&sort=created_at&q=st").await,
        ["Store"]
    );
}

#[tokio::test]
async fn a_folder_has_one_project() {
    let (test, router) = bench().await;
    let repo = TestRepo::with_files(&[("a.txt", "a\n")]);
    let post = async |path: &str| {
        let body = json!({ "repo_path": path }).to_string();
        let route = (&Method::POST, "/api/v1/projects");
        let (status, text) = ask(&router, route, Some(TOKEN), Body::from(body)).await;
        let told: Value = serde_json::from_str(&text).unwrap();
        (status.as_u16(), told)
    };
    let path = repo.path().to_str().unwrap();
    let (status, made) = post(path).await;
    assert_eq!((status, &made["repo_path"]), (201, &json!(path)), "{made}");
    assert_eq!(made["autonomous_execution_enabled"], true);
    let (status, again) = post(path).await;
    assert_eq!((status, &again["id"]), (201, &made["id"]));
    let (status, none) = post("/nowhere").await;
    assert_eq!((status, &none["error"]), (422, &json!("bad_repository")));
    let (_, _, all) = told(&router, "/projects?include_total=true").await;
    assert_eq!(all["total"], 2, "{all}");
    let own = all["items"].as_array().unwrap().iter();
    let mut own = own.filter(|project| project["id"] == test.spec.project_id.to_string());
    assert_eq!(own.next().unwrap()["repo_path"], "/repo");
}
