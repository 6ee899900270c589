//! API9, improper inventory management: routes of earlier versions, and what strangers learn of those there are.

use axum::body::Body;
use axum::http::Request;
use omoi_domain::planted_bug::PlantedBug;
use omoi_testkit::invariant::InvariantProof;
use tower::ServiceExt as _;

use crate::api::bench;

/// What strangers look for: descriptions, old bases, debug routes, other versions.
const LOOKED_FOR: [&str; 14] = [
    "/openapi.json",
    "/docs/",
    "/docs/swagger-ui-bundle.js",
    "/api/v1/openapi.json",
    "/api/openapi.json",
    "/api/v0/specs",
    "/api/v2/specs",
    "/api/specs",
    "/api/v1/debug/event-bus/status",
    "/api/v1/admin/status",
    "/api/v1/admin/config",
    "/metrics",
    "/.git/config",
    "/api/v1/../api/v1/specs",
];

#[tokio::test]
async fn strangers_learn_nothing_of_what_there_is() {
    let (_test, router) = bench().await;
    let proof = InvariantProof {
        id: "API9",
        counted: "descriptions and old routes that strangers are answered",
        n_cases: LOOKED_FOR.len(),
        bug: PlantedBug::DescriptionDoor,
    };
    proof
        .check(async || {
            let mut answered = Vec::new();
            for path in LOOKED_FOR {
                let request = Request::builder().uri(path).body(Body::empty()).unwrap();
                let response = router.clone().oneshot(request).await.unwrap();
                let status = response.status().as_u16();
                if !matches!(status, 401 | 403 | 404 | 410) {
                    answered.push((path, status));
                }
            }
            println!("{answered:?}");
            answered.len()
        })
        .await;
}
