//! What every answer tells a browser, whatever came of the request.

use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request};
use tower::ServiceExt as _;

use crate::api::{TOKEN, bench};

/// What is expected of each answer: a header, and how its value begins.
const EXPECTED: [(&str, &str); 9] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("permissions-policy", "geolocation=()"),
    ("content-security-policy", "default-src 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-site"),
    ("cache-control", "no-store"),
    ("vary", "Authorization"),
];

#[tokio::test]
async fn every_answer_keeps_browsers_from_guessing_framing_and_keeping_it() {
    let (_test, router) = bench().await;
    for (method, path, token, status) in [
        (Method::GET, "/api/v1/specs", Some(TOKEN), 200),
        (Method::GET, "/api/v1/specs", None, 401),
        (Method::GET, "/api/v1/specs/SPEC-9", Some(TOKEN), 404),
        (Method::GET, "/api/v1/nothing", None, 404),
        (Method::DELETE, "/api/v1/specs", Some(TOKEN), 405),
        (Method::POST, "/api/v1/auth/login", None, 415),
        (
            Method::GET,
            "/api/v1/events/stream?once=true",
            Some(TOKEN),
            200,
        ),
        (Method::GET, "/openapi.json", Some(TOKEN), 200),
        (Method::GET, "/docs/", Some(TOKEN), 200),
    ] {
        let mut request = Request::builder().method(method.clone()).uri(path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        for (name, begin) in EXPECTED {
            let told = response
                .headers()
                .get(name)
                .map(|told| told.to_str().unwrap());
            let is_told = told.is_some_and(|told| told.starts_with(begin));
            assert!(is_told, "{method} {path}: {name}: {told:?}");
        }
    }
}
