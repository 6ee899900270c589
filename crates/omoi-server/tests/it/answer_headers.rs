//! What every answer tells a browser, whatever came of the request.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, STRICT_TRANSPORT_SECURITY, UPGRADE,
};
use axum::http::{Method, Request};
use axum::response::Response;
use omoi_accounts::providers::SignInProviders;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_integrations::oauth::SignInProvider;
use omoi_integrations::oauth::fake::FakeProvider;
use omoi_server::ApiDoor;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::raw_connection::RawConnection;
use tower::ServiceExt as _;

use crate::api::{TOKEN, bench, router_behind, router_of_providers};
use crate::oauth::send_there;
use crate::sign_in_desk::{PASSWORD, SignInDesk};

const ADA: &str = "ada@example.org";

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

fn expect_headers(response: &Response, asked: &str) {
    for (name, begin) in EXPECTED {
        let told = response.headers().get(name);
        let told = told.map(|told| told.to_str().unwrap());
        let is_told = told.is_some_and(|told| told.starts_with(begin));
        assert!(is_told, "{asked}: {name}: {told:?}");
    }
}

/// Asks by a token, where one is given.
fn request_of(method: &Method, path: &str, token: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Body::empty()).unwrap()
}

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
        let request = request_of(&method, path, token);
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        expect_headers(&response, &format!("{method} {path}"));
    }
}

/// A server that is reached over TLS alone has browsers remember it with every answer, too.
fn expect_all(response: &Response, status: u16, asked: &str) {
    assert_eq!(response.status().as_u16(), status, "{asked}");
    expect_headers(response, asked);
    let told = response.headers().get(STRICT_TRANSPORT_SECURITY);
    let told = told.map(|told| told.to_str().unwrap());
    let expected = Some("max-age=31536000; includeSubDomains");
    assert_eq!(told, expected, "{asked}");
}

#[tokio::test]
async fn answers_that_are_neither_rows_nor_refusals_have_them_too() {
    let mut desk = SignInDesk::on_database(omoi_testkit::sqlite::database()).await;
    let github = Arc::new(FakeProvider::default());
    let by_name: BTreeMap<_, Arc<dyn SignInProvider>> =
        BTreeMap::from([(IdentityProvider::GitHub, Arc::clone(&github) as Arc<_>)]);
    let home = vec!["https://omoi.example.org".to_owned()];
    let providers = SignInProviders::new(by_name, home);
    let accounts = desk.accounts.clone();
    desk.router = router_of_providers(&desk.test, accounts, providers, ApiDoor::Network);
    desk.add_user(ADA, &[(OrgId::LOCAL, SystemRole::Viewer)])
        .await;
    let token = desk.sign_in(ADA, PASSWORD).await.access_token;
    let ended = desk.sign_in(ADA, PASSWORD).await.access_token;
    let answer = async |request: Request<Body>| desk.router.clone().oneshot(request).await.unwrap();

    let logout = request_of(&Method::POST, "/api/v1/auth/logout", Some(&ended));
    expect_all(&answer(logout).await, 204, "a logout");
    let begin = (Method::GET, "/auth/oauth/github/url");
    let sent = send_there(&desk, begin, None).await;
    let back = format!(
        "/api/v1/auth/oauth/github/callback?state={}&error=access_denied",
        sent.state
    );
    let mut back = request_of(&Method::GET, &back, None);
    let cookie = sent.cookie.parse().unwrap();
    back.headers_mut().insert(COOKIE, cookie);
    expect_all(&answer(back).await, 303, "a way back");
    // No socket is opened to who does not ask for one.
    let socket = "/api/v1/ws/events";
    for (token, status) in [(Some(token.as_str()), 426), (None, 401)] {
        let plain = request_of(&Method::GET, socket, token);
        expect_all(&answer(plain).await, status, "a socket");
    }
    let long = format!("/api/v1/specs?q={}", "x".repeat(20_000));
    let long = request_of(&Method::GET, &long, Some(&token));
    expect_all(&answer(long).await, 414, "a long address");
    let mut rows = RawConnection::open(desk.test.database_url()).await.unwrap();
    rows.execute("alter table specs rename to specs_away")
        .await
        .unwrap();
    let list = request_of(&Method::GET, "/api/v1/specs", Some(&token));
    expect_all(&answer(list).await, 500, "a table that is not there");
}

#[tokio::test]
async fn a_socket_asked_for_under_another_name_is_refused_with_them() {
    let test = TestDeployment::new().await;
    let router = router_behind(&test, ApiDoor::Loopback);
    let request = Request::builder()
        .uri("/api/v1/ws/events")
        .header(HOST, "rebound.example")
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let request = request.body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 403);
    expect_headers(&response, "a socket under another name");
}
