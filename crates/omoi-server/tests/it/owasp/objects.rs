//! API1, broken object level authorization: rows of an organisation that the caller does not belong to.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request};
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_domain::planted_bug::PlantedBug;
use omoi_testkit::invariant::InvariantProof;
use serde_json::Value;

use crate::matrix::{Asked, MatrixWorld};
use crate::openapi::{described, description};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk};

both!(no_row_of_another_organisation_is_told,);

/// Asks for `path` in the organisation that the header names.
async fn ask_in(desk: &SignInDesk, path: &str, token: &str, org: OrgId) -> (u16, Value) {
    let request = Request::builder()
        .method(Method::GET)
        .uri(format!("/api/v1{path}"))
        .header(CONTENT_TYPE, "application/json")
        .header("x-organization-id", org.to_string())
        .header(AUTHORIZATION, format!("Bearer {token}"));
    desk.send(request.body(Body::empty()).unwrap()).await
}

async fn no_row_of_another_organisation_is_told(mut desk: SignInDesk) {
    let world = MatrixWorld::lay_out(&mut desk).await;
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    let eve = [(elsewhere, SystemRole::Owner)];
    desk.add_user("eve@example.org", &eve).await;
    let eve = desk.sign_in("eve@example.org", PASSWORD).await.access_token;
    let api = description();
    let mut looks = described(&api);
    looks.retain(|operation| {
        let is_socket = operation.path.ends_with("/ws/events");
        operation.method == Method::GET && operation.path.starts_with("/api/v1/") && !is_socket
    });
    let proof = InvariantProof {
        id: "API1",
        counted: "answers with rows of another organisation",
        n_cases: looks.len() * 2,
        bug: PlantedBug::ObjectScope,
    };
    proof
        .check(async || {
            desk.test.advance_clock(120);
            let mut told_rows = Vec::new();
            for operation in &looks {
                let asked = Asked::of_world(&desk, &world, (operation, None));
                let plain = asked.ask(Some(&eve), false).await;
                let named = ask_in(&desk, &asked.path_below_root(false), &eve, OrgId::LOCAL).await;
                for (status, told) in [plain, named] {
                    if status < 400 && world.told_row(&told).is_some() {
                        told_rows.push(operation.name());
                    }
                }
            }
            println!("{told_rows:?}");
            told_rows.len()
        })
        .await;
}
