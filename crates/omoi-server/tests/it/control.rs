//! What people are refused.

use axum::Router;
use axum::body::Body;
use futures::stream;
use omoi_git::toolchain::Host;
use omoi_protocol::control::Status;
use omoi_server::control::{ControlSurface, router};

use crate::ask::{Route, ask, assert_lists_every_route, get, post, refusal};
use crate::support::TestPlatform;

const TOKEN: &str = "the token of the data folder";

const ROUTES: [Route; 19] = [
    get("/status"),
    get("/specs"),
    post("/specs").with_body(),
    get("/specs/{spec}"),
    get("/specs/{spec}/detail"),
    get("/specs/{spec}/summary"),
    get("/specs/{spec}/export"),
    get("/specs/{spec}/trace"),
    post("/specs/{spec}/approve"),
    post("/specs/{spec}/resume"),
    post("/specs/{spec}/cancel"),
    get("/tasks"),
    get("/tasks/{task}"),
    get("/tasks/{task}/detail"),
    post("/tasks/{task}/retry"),
    post("/tasks/{task}/cancel"),
    post("/tasks/{task}/messages").with_body(),
    get("/tasks/{task}/log"),
    get("/events"),
];

async fn bench() -> (TestPlatform, Router) {
    let test = TestPlatform::new().await;
    let surface = ControlSurface {
        platform: test.platform.clone(),
        host: Host::default(),
        token: TOKEN.to_owned(),
        status: Status {
            version: "0".to_owned(),
            pid: 1,
            roles: Vec::new(),
            database: "sqlite".to_owned(),
            bus: "in-process".to_owned(),
            sandbox: None,
            model: None,
            model_missing: None,
        },
    };
    (test, router(surface))
}

fn path(route: &str, spec: &str, task: &str) -> String {
    format!("/api/v1{route}")
        .replace("{spec}", spec)
        .replace("{task}", task)
}

#[tokio::test]
async fn every_route_wants_the_folders_token() {
    let (test, router) = bench().await;
    let task = test.task(1, &[]).await;
    let agents = test.run(task.id).await.token;
    let routes = ROUTES;
    for Route { method, at, .. } in &routes {
        let path = path(at, "SPEC-1", "TSK-001");
        for token in [None, Some("made up"), Some(agents.as_str())] {
            let never = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
            let said = ask(&router, (method, &path), token, never).await;
            assert_eq!(
                refusal(said),
                (401, "unauthorized".to_owned()),
                "{method} {path}"
            );
        }
    }
    let listed = routes.iter().map(|route| route.at);
    assert_lists_every_route(include_str!("../../src/control.rs"), listed);
}

#[tokio::test]
async fn what_is_not_there_and_what_makes_no_sense_is_told_apart() {
    let (test, router) = bench().await;
    test.task(1, &[]).await;
    let routes = ROUTES;
    for Route {
        method,
        at,
        takes_body,
    } in &routes
    {
        if !at.contains('{') {
            continue;
        }
        for (spec, task, expected) in [
            ("SPEC-9", "TSK-009", (404, "not_found")),
            ("nonsense", "nonsense", (400, "bad_request")),
        ] {
            let path = path(at, spec, task);
            let body = match takes_body {
                true => Body::from(r#"{"content": "go on", "message_type": "user_message"}"#),
                false => Body::empty(),
            };
            let said = ask(&router, (method, &path), Some(TOKEN), body).await;
            let (status, code) = refusal(said);
            assert_eq!((status, code.as_str()), expected, "{method} {path}");
        }
    }
    for Route { method, at, .. } in routes.iter().filter(|route| route.takes_body) {
        let path = path(at, "SPEC-1", "TSK-001");
        let large = format!("{{\"x\": \"{}\"}}", "x".repeat(1 << 20));
        for (body, expected) in [
            ("{}", (422, "bad_request")),
            ("[", (400, "bad_request")),
            (large.as_str(), (413, "too_large")),
        ] {
            let body = Body::from(body.to_owned());
            let said = ask(&router, (method, &path), Some(TOKEN), body).await;
            let (status, code) = refusal(said);
            assert_eq!((status, code.as_str()), expected, "{method} {path}");
        }
    }
}
