//! A running attempt in front of the routes of its worker.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, StatusCode};

use omoi_execution::attempt::CreatedAttempt;
use omoi_server::worker::{WorkerSurface, router};
use omoi_testkit::deployment::TestDeployment;

use crate::ask::{Route, ask, get, post};

/// The reports of a worker.
pub(crate) const REPORTS: [Route; 13] = [
    post("/started").with_body(),
    post("/events").with_body(),
    post("/heartbeat").with_body(),
    get("/messages"),
    post("/messages/ack").with_body(),
    post("/turns").with_body(),
    post("/items").with_body(),
    post("/done"),
    post("/discoveries").with_body(),
    post("/threads").with_body(),
    post("/results").with_body(),
    post("/complete").with_body(),
    get("/egress"),
];

/// An attempt that runs, and the routes that it reports to.
pub(crate) struct ReportBench {
    pub(crate) test: TestDeployment,
    pub(crate) router: Router,
    pub(crate) live: CreatedAttempt,
}

impl ReportBench {
    pub(crate) async fn new() -> Self {
        let test = TestDeployment::new().await;
        let task = test.add_task(1, &[]).await;
        let live = test.run_task(task.id).await;
        let router = router(WorkerSurface {
            egress: None,
            parts: test.build_part(),
            gateway: Err("set SOME_KEY".to_owned()),
        });
        Self { test, router, live }
    }

    /// Another attempt that runs.
    pub(crate) async fn other(&self) -> CreatedAttempt {
        let task = self.test.add_task(2, &[]).await;
        self.test.run_task(task.id).await
    }

    pub(crate) async fn post(&self, route: &str, body: impl Into<Body>) -> (StatusCode, String) {
        let path = self.path(route);
        let token = Some(self.live.token.as_str());
        ask(&self.router, (&Method::POST, &path), token, body.into()).await
    }

    pub(crate) fn path(&self, route: &str) -> String {
        format!("/api/v1/sandboxes/{}{route}", self.live.attempt.id)
    }
}
