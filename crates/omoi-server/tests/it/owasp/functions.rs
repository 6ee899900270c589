//! API5, broken function level authorization: operations that the caller's role does not have.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use axum::http::{Method, Request};
use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_domain::planted_bug::PlantedBug;
use omoi_testkit::invariant::InvariantProof;
use serde_json::json;

use crate::matrix::{Asked, MatrixWorld};
use crate::openapi::{Described, described, description};
use crate::sign_in_desk::{PASSWORD, SignInDesk};

both!(
    no_role_does_what_it_may_not,
    a_refusal_tells_nobody_what_is_there,
);

/// Operations whose permission a viewer lacks.
fn kept_from_viewers(api: &serde_json::Value) -> Vec<Described> {
    let viewer = SystemRole::Viewer.permission_set();
    let mut kept = described(api);
    kept.retain(|operation| {
        let needed = Permission::parse(operation.permission());
        let is_kept = match needed {
            Some(needed) => !viewer.contains(needed),
            None => operation.permission() == "staff",
        };
        is_kept && operation.path.starts_with("/api/v1/")
    });
    kept
}

async fn viewer_of(desk: &SignInDesk) -> String {
    let viewer = [(OrgId::LOCAL, SystemRole::Viewer)];
    desk.add_user("vic@example.org", &viewer).await;
    desk.sign_in("vic@example.org", PASSWORD).await.access_token
}

async fn no_role_does_what_it_may_not(mut desk: SignInDesk) {
    let world = MatrixWorld::lay_out(&mut desk).await;
    let viewer = viewer_of(&desk).await;
    let api = description();
    let kept = kept_from_viewers(&api);
    // With the bug some of them begin.
    desk.test.leaves_open_attempts();
    assert!(kept.len() > 80, "{}", kept.len());
    let proof = InvariantProof {
        id: "API5",
        counted: "operations that a viewer had done without their permission",
        n_cases: kept.len(),
        bug: PlantedBug::RoleCheck,
    };
    proof
        .check(async || {
            let mut done = Vec::new();
            for operation in &kept {
                desk.test.advance_clock(1);
                let asked = Asked::of_world(&desk, &world, (operation, operation.body(&api)));
                let (status, _) = asked.ask(Some(&viewer), false).await;
                if status < 400 {
                    done.push(operation.name());
                }
            }
            println!("{done:?}");
            done.len()
        })
        .await;
}

/// Whoever may not see rows is refused alike for one that is there and for one that is not.
async fn a_refusal_tells_nobody_what_is_there(mut desk: SignInDesk) {
    let world = MatrixWorld::lay_out(&mut desk).await;
    let ada = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
    let organisation = format!("/organizations/{}", OrgId::LOCAL);
    let blind = json!({ "name": "Blind", "permissions": ["org:read"] });
    let roles = format!("{organisation}/roles");
    let (_, role) = desk
        .ask((Method::POST, &roles), Some(&ada), Some(blind))
        .await;
    let members = format!("{organisation}/members");
    let viewer_token = viewer_of(&desk).await;
    let (_, me) = desk
        .ask((Method::GET, "/auth/me"), Some(&viewer_token), None)
        .await;
    let (_, listed) = desk.ask((Method::GET, &members), Some(&ada), None).await;
    let mut items = listed["items"].as_array().unwrap().iter();
    let member = items.find(|item| item["user_id"] == me["id"]).unwrap();
    let path = format!("{members}/{}", member["id"].as_str().unwrap());
    let request = Request::builder()
        .method(Method::PATCH)
        .uri(format!("/api/v1{path}"))
        .header(CONTENT_TYPE, "application/json")
        .header(IF_MATCH, "*")
        .header(AUTHORIZATION, format!("Bearer {ada}"));
    let body = Body::from(json!({ "role_id": role["id"] }).to_string());
    let (status, told) = desk.send(request.body(body).unwrap()).await;
    assert_eq!(status, 200, "{told}");
    let blind = desk.sign_in("vic@example.org", PASSWORD).await.access_token;
    let api = description();
    let mut n_asked = 0;
    for operation in described(&api) {
        let names_row = ["{spec_id}", "{ticket_id}", "{task_id}", "{project_id}"]
            .iter()
            .any(|name| operation.path.contains(name));
        if !names_row || Permission::parse(operation.permission()).is_none() {
            continue;
        }
        desk.test.advance_clock(1);
        let asked = Asked::of_world(&desk, &world, (&operation, operation.body(&api)));
        let (status, mut there) = asked.ask(Some(&blind), false).await;
        let (absent_status, mut absent) = asked.ask(Some(&blind), true).await;
        for told in [&mut there, &mut absent] {
            told["request_id"] = serde_json::Value::Null;
        }
        let name = operation.name();
        assert_eq!(
            (status, absent_status),
            (403, 403),
            "{name}: {there} {absent}"
        );
        assert_eq!(there, absent, "{name}");
        n_asked += 1;
    }
    assert!(n_asked > 60, "{n_asked}");
}
