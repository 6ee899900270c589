//! Budgets of a month: who sees and changes them, and what goes on once they have room.

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::access::role::SystemRole;
use omoi_domain::block::TaskBlock;
use omoi_domain::id::OrgId;
use omoi_domain::task::TaskStatus;
use omoi_store::tasks;

use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, refused};

both!(
    a_budget_is_made_changed_and_removed_by_its_version,
    work_goes_on_once_its_budget_has_room,
);

const BUDGETS: &str = "/costs/budgets";

/// Tokens of an owner, of a member who sees costs, of a viewer, and of the owner of another organisation.
async fn four_callers(desk: &SignInDesk) -> [String; 4] {
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    let mut tokens = Vec::new();
    for (mail, org, role) in [
        ("own@example.org", OrgId::LOCAL, SystemRole::Owner),
        ("mem@example.org", OrgId::LOCAL, SystemRole::Member),
        ("vic@example.org", OrgId::LOCAL, SystemRole::Viewer),
        ("eve@example.org", elsewhere, SystemRole::Owner),
    ] {
        desk.add_user(mail, &[(org, role)]).await;
        tokens.push(desk.sign_in(mail, PASSWORD).await.access_token);
    }
    tokens.try_into().unwrap()
}

/// Status, version and body of the answer to a change that is meant for `version`.
async fn change(
    desk: &SignInDesk,
    (method, path): (Method, &str),
    token: &str,
    version: Option<&str>,
    body: Option<Value>,
) -> (u16, Option<String>, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, format!("Bearer {token}"));
    if let Some(version) = version {
        request = request.header(IF_MATCH, version);
    }
    let body = body.map_or_else(String::new, |body| body.to_string());
    let response = desk
        .router
        .clone()
        .oneshot(request.body(Body::from(body)).unwrap());
    let response = response.await.unwrap();
    let tag = response.headers().get(ETAG);
    let tag = tag.map(|tag| tag.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (
        status,
        tag,
        serde_json::from_slice(&text).unwrap_or(Value::Null),
    )
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn a_budget_is_made_changed_and_removed_by_its_version(desk: SignInDesk) {
    let [owner, member, viewer, other] = four_callers(&desk).await;
    let project = desk.test.spec.project_id.to_string();
    let whole = json!({ "scope_type": "organization", "limit": "20" });
    let part = json!({ "scope_type": "project", "scope_id": project, "limit": "5.5", "is_hard_limit": false });
    let make = async |token: &str, body: &Value| {
        change(
            &desk,
            (Method::POST, BUDGETS),
            token,
            None,
            Some(body.clone()),
        )
        .await
    };
    for token in [&member, &viewer] {
        let (status, _, told) = make(token, &whole).await;
        assert_eq!(
            (status, &told["permission"]),
            (403, &json!("cost:write")),
            "{told}"
        );
    }
    let (status, made, told) = make(&owner, &whole).await;
    assert_eq!(
        (status, &told["limit"]),
        (201, &json!("20.000000000")),
        "{told}"
    );
    assert_eq!(
        (&told["level"], &told["remaining"]),
        (&json!("normal"), &json!("20.000000000"))
    );
    let (status, _, told) = make(&owner, &part).await;
    assert_eq!(
        (status, &told["scope_id"]),
        (201, &json!(project)),
        "{told}"
    );
    wrong_budgets_are_refused(&desk, &owner, &whole).await;
    let list = async |token: &str| desk.ask((Method::GET, BUDGETS), Some(token), None).await;
    let (status, all) = list(&member).await;
    let scopes: Vec<&Value> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["scope_type"])
        .collect();
    assert_eq!(
        (status, scopes),
        (200, vec![&json!("organization"), &json!("project")])
    );
    assert_eq!(list(&viewer).await.0, 403);
    assert_eq!(list(&other).await.1["items"], json!([]));
    let check = format!("{BUDGETS}/check?scope_type=project&scope_id={project}");
    let (status, told) = desk.ask((Method::GET, &check), Some(&member), None).await;
    assert_eq!((status, &told["allowed"]), (200, &json!(true)), "{told}");
    assert_eq!(
        desk.code_of((Method::GET, &check), &other, None).await,
        refused(404, "not_found")
    );
    versions_are_kept(
        &desk,
        &owner,
        &other,
        all["items"][0]["id"].as_str().unwrap(),
        &made.unwrap(),
    )
    .await;
    expect_acts(&desk, &owner, all["items"][0]["id"].clone()).await;
}

/// The audit log tells of the changes of the budget `id`, and what it allowed before and after.
async fn expect_acts(desk: &SignInDesk, owner: &str, id: Value) {
    let log = format!("/organizations/{}/audit", OrgId::LOCAL);
    let (_, log) = desk.ask((Method::GET, &log), Some(owner), None).await;
    let acts = log["items"].as_array().unwrap().iter();
    let mut acts: Vec<_> = acts
        .filter(|act| act["target_id"] == id)
        .map(|act| (&act["seq"], &act["action"], &act["target_type"]))
        .collect();
    acts.sort_by_key(|(seq, ..)| seq.as_i64());
    let acts: Vec<_> = acts
        .into_iter()
        .map(|(_, action, on)| (action, on))
        .collect();
    let on = json!("month_budget");
    let expected = ["budget_created", "budget_updated", "budget_deleted"].map(Value::from);
    assert_eq!(
        acts,
        expected.iter().map(|act| (act, &on)).collect::<Vec<_>>(),
        "{log}"
    );
}

/// What makes no budget.
async fn wrong_budgets_are_refused(desk: &SignInDesk, owner: &str, whole: &Value) {
    for (body, status, code) in [
        (whole.clone(), 409, "conflict"),
        (
            json!({ "scope_type": "project", "scope_id": UNKNOWN, "limit": "1" }),
            404,
            "not_found",
        ),
        (
            json!({ "scope_type": "project", "limit": "1" }),
            422,
            "validation_failed",
        ),
        (
            json!({ "scope_type": "global", "limit": "1" }),
            422,
            "validation_failed",
        ),
        (
            json!({ "scope_type": "organization", "limit": "-1" }),
            422,
            "validation_failed",
        ),
        (
            json!({ "scope_type": "organization", "limit": "1000001" }),
            422,
            "validation_failed",
        ),
    ] {
        let (got, _, told) = change(
            desk,
            (Method::POST, BUDGETS),
            owner,
            None,
            Some(body.clone()),
        )
        .await;
        assert_eq!(
            (got, &told["error"]),
            (status, &json!(code)),
            "{body}: {told}"
        );
    }
}

async fn versions_are_kept(desk: &SignInDesk, owner: &str, other: &str, id: &str, made: &str) {
    let path = format!("{BUDGETS}/{id}");
    let patch = (Method::PATCH, path.as_str());
    let zero = json!({ "limit": "0" });
    let (status, _, told) = change(desk, patch.clone(), owner, None, Some(zero.clone())).await;
    assert_eq!(
        (status, &told["error"]),
        (428, &json!("precondition_required")),
        "{told}"
    );
    let (status, _, _) = change(desk, patch.clone(), other, Some(made), Some(zero.clone())).await;
    assert_eq!(status, 404);
    let (status, now, told) =
        change(desk, patch.clone(), owner, Some(made), Some(zero.clone())).await;
    assert_eq!(
        (status, &told["level"]),
        (200, &json!("exceeded")),
        "{told}"
    );
    let now = now.unwrap();
    let check = format!("{BUDGETS}/check?scope_type=organization");
    let (_, told) = desk.ask((Method::GET, &check), Some(owner), None).await;
    assert_eq!(told["allowed"], json!(false), "{told}");
    for method in [Method::PATCH, Method::DELETE] {
        let body = (method == Method::PATCH).then(|| zero.clone());
        let route = (method, path.as_str());
        let (status, current, told) = change(desk, route, owner, Some(made), body).await;
        assert_eq!(
            (status, &told["error"]),
            (412, &json!("stale_version")),
            "{told}"
        );
        assert_eq!(current.as_ref(), Some(&now));
        assert_eq!(told["context"]["current"]["limit"], json!("0.000000000"));
    }
    let delete = (Method::DELETE, path.as_str());
    assert_eq!(
        change(desk, delete.clone(), owner, Some(&now), None)
            .await
            .0,
        204
    );
    assert_eq!(change(desk, delete, owner, Some(&now), None).await.0, 404);
}

async fn work_goes_on_once_its_budget_has_room(desk: SignInDesk) {
    let [owner, ..] = four_callers(&desk).await;
    let body = json!({ "scope_type": "organization", "limit": "0" });
    let (_, made, told) = change(&desk, (Method::POST, BUDGETS), &owner, None, Some(body)).await;
    let path = format!("{BUDGETS}/{}", told["id"].as_str().unwrap());
    let task = desk.test.add_task(1, &[]).await.id;
    let blocked = desk.test.commit(async |tx| {
        let mut task = tasks::get(tx, task).await?;
        let reason = "budget_exceeded: the organisation has spent all of it".to_owned();
        tasks::block(tx, &mut task, TaskBlock::Budget, reason).await
    });
    blocked.await.unwrap();
    let status = async || {
        let mut tx = desk.test.read_tx().await;
        tasks::get(&mut tx, task).await.unwrap().status
    };
    let mut version = made.unwrap();
    for (limit, expected) in [("0", TaskStatus::Blocked), ("0.01", TaskStatus::Pending)] {
        let body = json!({ "limit": limit });
        let (code, next, told) = change(
            &desk,
            (Method::PATCH, &path),
            &owner,
            Some(&version),
            Some(body),
        )
        .await;
        assert_eq!(code, 200, "{told}");
        version = next.unwrap();
        assert_eq!(status().await, expected, "{limit}");
    }
}
