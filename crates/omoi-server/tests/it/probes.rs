//! Who is told what of a process.

use axum::body::Body;
use axum::http::Method;

use omoi_protocol::api::{HealthReport, HealthStatus};
use omoi_server::ApiDoor;
use omoi_server::probes::{ProbeSurface, router};
use omoi_testkit::deployment::TestDeployment;

use crate::api::laptop_site;
use crate::ask::ask;

const TOKEN: &str = "the token of the data folder";

#[tokio::test]
async fn metrics_want_the_folders_token_and_count_in_the_database() {
    let it = TestDeployment::new().await;
    for number in 1..=3 {
        it.add_task(number, &[]).await;
    }
    let probes = ProbeSurface {
        store: it.deployment.store.clone(),
        running: it.deployment.running.clone(),
        reconcilers: Vec::new(),
        token: TOKEN.to_owned(),
        request_ids: it.build_part(),
        site: laptop_site(),
    };
    let router = router(probes, ApiDoor::Folder);
    let get = async |path: &str, token: Option<&str>| {
        ask(&router, (&Method::GET, path), token, Body::empty()).await
    };
    for token in [None, Some("made up")] {
        let (status, text) = get("/metrics", token).await;
        assert_eq!(status.as_u16(), 401);
        assert!(!text.contains("omoi_tasks"), "{text}");
    }
    let (status, text) = get("/metrics", Some(TOKEN)).await;
    assert_eq!(status.as_u16(), 200);
    for line in [
        "omoi_tasks{status=\"pending\"} 3",
        "omoi_tasks{status=\"failed\"} 0",
        "omoi_specs{status=\"working\"} 1",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}: {text}");
    }
    for path in ["/health", "/health/ready"] {
        let (status, text) = get(path, None).await;
        let report: HealthReport = serde_json::from_str(&text).unwrap();
        assert_eq!((status.as_u16(), report.status), (200, HealthStatus::Ok));
    }
    let (status, _) = get("/ready", None).await;
    assert_eq!(status.as_u16(), 308);
}
