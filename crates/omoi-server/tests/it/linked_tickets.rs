//! Tickets that people tie to specs.

use axum::http::Method;
use serde_json::{Value, json};

use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;

use crate::api::{bench, told};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, refused};
use crate::tickets::{post, write_ticket};

both!(a_link_is_of_one_organisation_and_of_who_may_write_specs);

fn refs(listed: &Value, relation: &str) -> Vec<String> {
    let items = listed["items"].as_array().unwrap().iter();
    let items = items.filter(|item| item["relation"] == relation);
    items
        .map(|item| item["ticket"]["ticket_ref"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn tickets_are_tied_to_a_spec_and_untied() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    let ticket = write_ticket(&router, "Export todos").await;
    let reference = ticket["ticket_ref"].as_str().unwrap().to_owned();
    let path = format!("/specs/{}", test.spec.id);
    let (_, _, before) = told(&router, &format!("{path}/linked-tickets")).await;
    assert_eq!(refs(&before, "plan"), ["TKT-001"], "{before}");
    assert!(refs(&before, "linked").is_empty(), "{before}");
    // By id and by reference; one of the plan belongs to it anyway, and twice is once.
    for named in [json!([ticket["id"]]), json!([reference, "TKT-001"])] {
        let body = json!({ "ticket_ids": named });
        let (status, listed) = post(&router, &format!("{path}/link-tickets"), body).await;
        assert_eq!(status, 200, "{listed}");
        assert_eq!(
            refs(&listed, "linked"),
            std::slice::from_ref(&reference),
            "{listed}"
        );
        assert_eq!(refs(&listed, "plan"), ["TKT-001"], "{listed}");
    }
    let unlink = format!("{path}/unlink-tickets");
    for (named, expected) in [
        (json!(["TKT-001"]), (409, "conflict")),
        (json!([UNKNOWN]), (404, "not_found")),
        (json!(["SPEC-1"]), (422, "validation_failed")),
        (json!([]), (422, "validation_failed")),
        (json!(vec!["TKT-001"; 101]), (422, "validation_failed")),
    ] {
        let said = post(&router, &unlink, json!({ "ticket_ids": named })).await;
        let code = said.1["error"].as_str().unwrap_or_default();
        assert_eq!((said.0, code), expected, "{named}: {said:?}");
    }
    for _ in 0..2 {
        let body = json!({ "ticket_ids": [reference] });
        let (status, listed) = post(&router, &unlink, body).await;
        assert_eq!(
            (status, refs(&listed, "linked").len()),
            (200, 0),
            "{listed}"
        );
    }
    let odd = json!({ "ticket_ids": [reference], "org_id": UNKNOWN });
    let said = post(&router, &format!("{path}/link-tickets"), odd).await;
    assert_eq!((said.0, &said.1["error"]), (422, &json!("unknown_field")));
}

async fn a_link_is_of_one_organisation_and_of_who_may_write_specs(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    desk.add_user("ada@example.org", &[(OrgId::LOCAL, SystemRole::Member)])
        .await;
    desk.add_user("vic@example.org", &[(OrgId::LOCAL, SystemRole::Viewer)])
        .await;
    desk.add_user("eve@example.org", &[(elsewhere, SystemRole::Owner)])
        .await;
    let token = async |email: &str| desk.sign_in(email, PASSWORD).await.access_token;
    let (ada, vic, eve) = (
        token("ada@example.org").await,
        token("vic@example.org").await,
        token("eve@example.org").await,
    );
    let ticket = json!({ "title": "Export todos", "project_id": desk.test.spec.project_id });
    let (_, ticket) = desk
        .ask((Method::POST, "/tickets"), Some(&ada), Some(ticket))
        .await;
    let path = format!("/specs/{}", desk.test.spec.id);
    let body = json!({ "ticket_ids": [ticket["id"]] });
    for verb in ["link-tickets", "unlink-tickets"] {
        let path = format!("{path}/{verb}");
        let ask = async |token: &str| {
            desk.code_of((Method::POST, &path), token, Some(body.clone()))
                .await
        };
        assert_eq!(ask(&vic).await, refused(403, "forbidden"), "{verb}");
        assert_eq!(ask(&eve).await, refused(404, "not_found"), "{verb}");
        assert_eq!(ask(&ada).await.0, 200, "{verb}");
    }
    let list = format!("{path}/linked-tickets");
    let (status, told) = desk.ask((Method::GET, &list), Some(&vic), None).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        told["items"][0]["ticket"]["id"],
        json!(task.ticket_id),
        "{told}"
    );
    assert_eq!(
        desk.code_of((Method::GET, &list), &eve, None).await,
        refused(404, "not_found")
    );
}
