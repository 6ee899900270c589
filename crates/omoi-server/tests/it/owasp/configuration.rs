//! API8, security misconfiguration: a laptop that answers under every name and to every page, and answers that browsers
//! guess about.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{Method, Request};
use omoi_domain::planted_bug::PlantedBug;
use omoi_server::ApiDoor;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::invariant::InvariantProof;
use tower::ServiceExt as _;

use crate::api::{TOKEN, router_behind};

/// Names that a page of others makes lead to a laptop, and origins of such pages.
const ATTACKS: [(&str, Option<&str>); 8] = [
    ("evil.example", None),
    ("evil.example:8000", None),
    ("127.0.0.1.evil.example:8000", None),
    ("127.0.0.1:8001", None),
    ("127.0.0.1:8000", Some("https://evil.example")),
    ("127.0.0.1:8000", Some("null")),
    ("127.0.0.1:8000", Some("http://127.0.0.1:8001")),
    ("127.0.0.1:8000", Some("http://127.0.0.1:8000.evil.example")),
];

#[tokio::test]
async fn no_page_of_others_asks_a_laptop() {
    let test = TestDeployment::new().await;
    let router = router_behind(&test, ApiDoor::Loopback);
    let ask = async |host: &str, origin: Option<&str>, method: Method| {
        let mut request = Request::builder()
            .method(method)
            .uri("/api/v1/specs")
            .header(HOST, host)
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"));
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let request = request.body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    };
    let proof = InvariantProof {
        id: "API8",
        counted: "answers to pages and names of others",
        n_cases: ATTACKS.len() * 2,
        bug: PlantedBug::SiteNames,
    };
    proof
        .check(async || {
            let mut answered = Vec::new();
            for (host, origin) in ATTACKS {
                let response = ask(host, origin, Method::GET).await;
                if response.status().is_success() {
                    answered.push((host, origin));
                }
                // Nor may its script read what there is.
                let headers = response.headers();
                assert!(
                    !headers.contains_key("access-control-allow-origin"),
                    "{host}"
                );
                let preflight = ask(host, origin, Method::OPTIONS).await;
                if preflight.status().is_success() {
                    answered.push((host, origin));
                }
            }
            println!("{answered:?}");
            answered.len()
        })
        .await;
    let own = ask("127.0.0.1:8000", Some("http://127.0.0.1:8000"), Method::GET).await;
    assert_eq!(own.status().as_u16(), 200);
}
