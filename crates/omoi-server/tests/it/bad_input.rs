//! Ids, names, versions and keys that a caller has no business with, in every place that takes them.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use axum::http::{Method, Request};
use serde_json::{Value, json};

use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;

use crate::matrix::{Asked, MatrixWorld};
use crate::openapi::{Described, described, description};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, refused};

both!(
    a_filter_by_another_organisations_row_finds_nothing,
    a_name_stands_on_one_line,
    a_version_that_nobody_was_told_changes_nothing,
    a_key_of_another_caller_names_another_request,
);

const LOCAL: &str = "/organizations/01930000-0000-7000-8000-000000000001";

async fn token_of(desk: &SignInDesk, email: &str, org: OrgId) -> String {
    desk.add_user(email, &[(org, SystemRole::Owner)]).await;
    desk.sign_in(email, PASSWORD).await.access_token
}

/// The parameters of a list that name rows of the world, and the row of each.
fn row_filters<'a>(operation: &Described, world: &'a MatrixWorld) -> Vec<(String, &'a str)> {
    let in_query = operation
        .parameters()
        .iter()
        .filter(|parameter| parameter["in"] == "query");
    let named = in_query.filter_map(|parameter| {
        let name = parameter["name"].as_str()?;
        let row = match name {
            "entity_ids" => "task_id",
            "project_ids" => "project_id",
            name => name,
        };
        world.find_row(row).map(|id| (name.to_owned(), id))
    });
    named.collect()
}

/// An answer without what differs between two requests.
fn comparable(mut told: Value, id: &str) -> String {
    if told.is_object() {
        told["request_id"] = Value::Null;
        // Cursors are signed over the filters.
        told["next_cursor"] = Value::Null;
    }
    told.to_string().replace(id, "ID")
}

async fn a_filter_by_another_organisations_row_finds_nothing(mut desk: SignInDesk) {
    let world = MatrixWorld::lay_out(&mut desk).await;
    let eve = token_of(&desk, "eve@example.org", ELSEWHERE.parse().unwrap()).await;
    let api = description();
    let mut n_filters = 0;
    for operation in described(&api) {
        let is_list = operation.method == Method::GET && !operation.path.contains('{');
        if !is_list
            || !operation.path.starts_with("/api/v1/")
            || operation.path.ends_with("/ws/events")
        {
            continue;
        }
        for (name, row) in row_filters(&operation, &world) {
            desk.test.advance_clock(2);
            let base = Asked::of_world(&desk, &world, (&operation, None)).path_below_root(true);
            let base = base.split('?').next().unwrap().to_owned();
            let once = match operation.path.ends_with("/stream") {
                true => "&once=true",
                false => "",
            };
            let ask = async |id: &str| {
                let path = format!("{base}?{name}={id}{once}");
                desk.ask((Method::GET, &path), Some(&eve), None).await
            };
            let (status, told) = ask(row).await;
            let (unknown_status, unknown) = ask(UNKNOWN).await;
            let about = format!("{} by {name}: {status} {told}", operation.name());
            assert_eq!(status, unknown_status, "{about}");
            assert_eq!(
                comparable(told, row),
                comparable(unknown, UNKNOWN),
                "{about}"
            );
            n_filters += 1;
        }
    }
    assert!(n_filters > 10, "{n_filters}");
}

async fn a_name_stands_on_one_line(mut desk: SignInDesk) {
    let world = MatrixWorld::lay_out(&mut desk).await;
    let ada = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
    let api = description();
    let mut n_names = 0;
    for operation in described(&api) {
        let Some(body) = operation.body(&api).filter(Value::is_object) else {
            continue;
        };
        if operation.permission() == "public" || !operation.path.starts_with("/api/v1/") {
            continue;
        }
        for field in ["name", "full_name", "title", "slug"] {
            if !body[field].is_string() {
                continue;
            }
            let mut body = body.clone();
            body[field] = json!("a\r\nset-cookie: b=c");
            desk.test.advance_clock(1);
            let asked = Asked::of_world(&desk, &world, (&operation, Some(body)));
            let (status, told) = asked.ask(Some(&ada), false).await;
            let is_one_line = status < 400 && !told.to_string().contains("\\n");
            assert!(
                is_one_line || matches!(status, 403 | 404 | 409 | 422),
                "{} took `{field}`: {status} {told}",
                operation.name()
            );
            n_names += 1;
        }
    }
    assert!(n_names > 5, "{n_names}");
}

async fn send(
    desk: &SignInDesk,
    (method, path): (Method, &str),
    token: &str,
    (header, value): (&str, &str),
    body: &Value,
) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(header, value);
    desk.send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

async fn a_version_that_nobody_was_told_changes_nothing(desk: SignInDesk) {
    let ada = token_of(&desk, "ada@example.org", OrgId::LOCAL).await;
    let body = json!({ "name": "Renamed" });
    for forged in [
        "\"99\"",
        "W/\"0\"",
        "0",
        "\"-1\"",
        "\"0\\\"\"",
        "\"abc\"",
        "",
    ] {
        let route = (Method::PATCH, LOCAL);
        let (status, told) = send(&desk, route, &ada, (IF_MATCH.as_str(), forged), &body).await;
        assert_eq!(
            (status, &told["error"]),
            (412, &json!("stale_version")),
            "{forged}: {told}"
        );
    }
    let (_, there) = desk.ask((Method::GET, LOCAL), Some(&ada), None).await;
    assert_ne!(there["name"], "Renamed");
}

async fn a_key_of_another_caller_names_another_request(desk: SignInDesk) {
    let ada = token_of(&desk, "ada@example.org", OrgId::LOCAL).await;
    let eve = token_of(&desk, "eve@example.org", ELSEWHERE.parse().unwrap()).await;
    let key = ("idempotency-key", "one and the same");
    let route = (Method::POST, "/organizations");
    let acme = json!({ "name": "Acme", "slug": "acme" });
    let (status, made) = send(&desk, route.clone(), &ada, key, &acme).await;
    assert_eq!(status, 201, "{made}");
    // The other is neither answered in the first one's place nor told that somebody used the key.
    let (status, told) = send(&desk, route.clone(), &eve, key, &acme).await;
    assert_eq!(
        (status, &told["error"]),
        (409, &json!("conflict")),
        "{told}"
    );
    let other = json!({ "name": "Bcme", "slug": "bcme" });
    let (status, told) = send(&desk, route.clone(), &eve, key, &other).await;
    assert_eq!((status, &told["slug"]), (201, &json!("bcme")), "{told}");
    // The first one is told that it was done, and nothing is done again.
    let (status, again) = send(&desk, route, &ada, key, &acme).await;
    assert_eq!(
        (status, &again["error"]),
        (409, &json!("already_shown")),
        "{again}"
    );
    let path = format!("/organizations/{}", made["id"].as_str().unwrap());
    let said = desk.code_of((Method::GET, &path), &eve, None).await;
    assert_eq!(said, refused(404, "not_found"));
}
