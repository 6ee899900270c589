//! Searching: what is found, by whom, and what is no search.

use axum::http::Method;
use serde_json::json;

use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;

use crate::api::{bench, told};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, refused};
use crate::tickets::{post, write_ticket};

both!(members_find_what_is_their_organisations,);

#[tokio::test]
async fn a_search_shows_where_the_words_are() {
    let (test, router) = bench().await;
    let ticket = write_ticket(&router, "Refresh OAuth2 tokens").await;
    let path = format!("/tickets/{}/comments", ticket["id"].as_str().unwrap());
    let (status, comment) =
        post(&router, &path, json!({ "content": "<b>tokens</b> expire" })).await;
    assert_eq!(status, 201, "{comment}");
    let (status, _, found) = told(&router, "/search?q=token").await;
    assert_eq!(status, 200, "{found}");
    let items = found["items"].as_array().unwrap();
    assert_eq!(
        (&items[0]["id"], &items[0]["kind"]),
        (&ticket["id"], &json!("ticket")),
        "{found}"
    );
    assert_eq!(items[1]["excerpt"], "<b>tokens</b> expire");
    assert_eq!(items[1]["ticket_id"], ticket["id"]);
    let project = test.spec.project_id;
    let (_, _, found) = told(
        &router,
        &format!("/projects/{project}/search?q=token&kind=comment&limit=1"),
    )
    .await;
    assert_eq!(found["items"][0]["id"], comment["id"], "{found}");
    let long = format!("q={}", "a".repeat(501));
    for (query, field) in [
        ("q=", "q"),
        (long.as_str(), "q"),
        ("q=%22%2A", "q"),
        ("q=a&limit=0", "limit"),
        ("q=a&limit=101", "limit"),
    ] {
        let (status, code, said) = told(&router, &format!("/search?{query}")).await;
        assert_eq!(
            (status, code.as_str()),
            (422, "validation_failed"),
            "{query}"
        );
        assert_eq!(said["fields"][0]["path"], field, "{said}");
    }
}

async fn members_find_what_is_their_organisations(desk: SignInDesk) {
    desk.add_user("ada@example.org", &[(OrgId::LOCAL, SystemRole::Viewer)])
        .await;
    desk.add_user(
        "eve@example.org",
        &[(ELSEWHERE.parse().unwrap(), SystemRole::Owner)],
    )
    .await;
    desk.add_user("nil@example.org", &[]).await;
    let title = desk.test.spec.title.clone();
    let query: String = title.split(' ').take(1).collect();
    let path = format!("/search?q={query}");
    let count = async |email: &str| {
        let token = desk.sign_in(email, PASSWORD).await.access_token;
        let (status, found) = desk.ask((Method::GET, &path), Some(&token), None).await;
        (status, found["items"].as_array().map_or(0, Vec::len))
    };
    // The spec, and the ticket that is named after it.
    assert_eq!(count("ada@example.org").await, (200, 2));
    assert_eq!(count("eve@example.org").await, (200, 0));
    let nil = desk.sign_in("nil@example.org", PASSWORD).await.access_token;
    let said = desk.code_of((Method::GET, &path), &nil, None).await;
    assert_eq!(said, refused(403, "forbidden"));
    let eve = desk.sign_in("eve@example.org", PASSWORD).await.access_token;
    let project = format!("/projects/{}/search?q=x", desk.test.spec.project_id);
    let said = desk.code_of((Method::GET, &project), &eve, None).await;
    assert_eq!(said, refused(404, "not_found"));
}
