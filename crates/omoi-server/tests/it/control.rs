//! What people are refused.

use axum::Router;
use axum::body::Body;
use axum::http::Method;
use futures::stream;
use serde_json::json;

use omoi_domain::actor::Actor;
use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AgentRole, AttemptState};
use omoi_domain::config::Config;
use omoi_domain::id::UserId;
use omoi_domain::model_kind::ModelKind;
use omoi_execution::attempt::{NewAttempt, insert_attempt};
use omoi_execution::options::{agent, discovery};
use omoi_git::toolchain::HostEnvironment;
use omoi_llm::options::ANTHROPIC_KEYS;
use omoi_planning::options::{SPEC_KEYS, VALIDATION_KEYS};
use omoi_protocol::api::{ProcessStatus, TaskLog};
use omoi_runtime::config::{ConfigSources, KeyTable, load_config};
use omoi_runtime::options::DATA_KEYS;
use omoi_sandbox::options::SANDBOX_KEYS;
use omoi_server::control::{ControlSurface, router};
use omoi_store::attempts::{self, AgentEvent, Attempt};
use omoi_store::{Json, events, projects, specs, tasks, tickets};
use omoi_testkit::deployment::TestDeployment;

use crate::ask::{Route, ask, ask_from, assert_lists_every_route, get, post, refusal};

pub(crate) const TOKEN: &str = "the token of the data folder";

const ROUTES: [Route; 25] = [
    get("/status"),
    get("/specs"),
    post("/specs").with_body(),
    get("/specs/{spec}"),
    get("/specs/{spec}/detail"),
    get("/specs/{spec}/summary"),
    get("/specs/{spec}/export"),
    get("/specs/{spec}/trace"),
    get("/specs/{spec}/egress"),
    post("/egress").with_body(),
    post("/specs/{spec}/approve"),
    post("/specs/{spec}/resume").with_body(),
    post("/specs/{spec}/deliver"),
    post("/specs/{spec}/cancel"),
    get("/trust"),
    post("/trust").with_body(),
    post("/setup").with_body(),
    get("/tasks"),
    get("/tasks/{task}"),
    get("/tasks/{task}/detail"),
    post("/tasks/{task}/retry"),
    post("/tasks/{task}/cancel"),
    post("/tasks/{task}/messages").with_body(),
    get("/tasks/{task}/log"),
    get("/events"),
];

pub(crate) async fn bench() -> (TestDeployment, Router) {
    let test = TestDeployment::new().await;
    let router = router_of(&test);
    (test, router)
}

/// The control surface of `test`.
pub(crate) fn router_of(test: &TestDeployment) -> Router {
    let surface = ControlSurface {
        parts: test.build_part(),
        host: HostEnvironment::default(),
        config: own_configuration(),
        token: TOKEN.to_owned(),
        status: ProcessStatus {
            version: "0".to_owned(),
            pid: 1,
            roles: Vec::new(),
            database: "sqlite".to_owned(),
            bus: "in-process".to_owned(),
            sandbox: None,
            model: "none".to_owned(),
            model_kind: ModelKind::Missing,
            model_missing: None,
            loops: Vec::new(),
            stall: None,
            model_notes: Vec::new(),
        },
        reconcilers: Vec::new(),
    };
    router(surface)
}

/// What a repository may say something of, and a section that it may not touch.
static TABLE: KeyTable = KeyTable {
    sections: &[
        DATA_KEYS,
        ANTHROPIC_KEYS,
        SPEC_KEYS,
        agent::AGENT_KEYS,
        VALIDATION_KEYS,
        SANDBOX_KEYS,
        discovery::DISCOVERY_KEYS,
    ],
    rules: &[],
};

/// Every key at its default.
fn own_configuration() -> Config {
    let sources = ConfigSources::default().with_flag("data.dir", "/nowhere");
    load_config(&TABLE, &sources).unwrap()
}

fn path(route: &str, spec: &str, task: &str) -> String {
    format!("/api/v1{route}")
        .replace("{spec}", spec)
        .replace("{task}", task)
}

#[tokio::test]
async fn every_route_wants_the_folders_token() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let agents = test.run_task(task.id).await.token;
    let routes = ROUTES;
    for Route { method, at, .. } in &routes {
        let path = path(at, "SPEC-1", "TSK-001");
        for token in [None, Some("made up"), Some(agents.as_str())] {
            let never = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
            let said = ask(&router, (method, &path), token, never).await;
            assert_eq!(
                refusal(said),
                (401, "unauthenticated".to_owned()),
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
    test.add_task(1, &[]).await;
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
            ("nonsense", "nonsense", (422, "validation_failed")),
        ] {
            let path = path(at, spec, task);
            let body = match takes_body {
                true => Body::from(
                    r#"{"content": "go on", "message_type": "user_message", "accept_weak": false}"#,
                ),
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
            ("{}", (422, "validation_failed")),
            ("[", (400, "malformed_json")),
            (large.as_str(), (413, "too_large")),
        ] {
            let body = Body::from(body.to_owned());
            let said = ask(&router, (method, &path), Some(TOKEN), body).await;
            let (status, code) = refusal(said);
            assert_eq!((status, code.as_str()), expected, "{method} {path}");
        }
    }
}

/// A second project with a SPEC-1 and a TSK-001 of its own.
async fn second_project(test: &TestDeployment) -> (specs::Spec, tasks::Task) {
    let task = test.add_task(1, &[]).await;
    test.commit(async |tx| {
        let project = projects::ensure(tx, "shop", "/src/shop").await?;
        let spec = specs::Spec {
            id: tx.new_id(),
            project_id: project.id,
            ..test.spec.clone()
        };
        specs::insert(tx, &spec).await?;
        let ticket = tickets::Ticket {
            id: tx.new_id(),
            project_id: project.id,
            spec_id: spec.id,
            ..test.ticket.clone()
        };
        tickets::insert(tx, &ticket).await?;
        let task = tasks::Task {
            id: tx.new_id(),
            project_id: project.id,
            spec_id: spec.id,
            ticket_id: ticket.id,
            ..task.clone()
        };
        tasks::insert(tx, &task).await?;
        Ok((spec, task))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_number_means_what_the_repository_says_and_nothing_is_guessed() {
    let (test, router) = bench().await;
    let (spec, task) = second_project(&test).await;
    for Route {
        method,
        at,
        takes_body,
    } in ROUTES.iter().filter(|route| route.at.contains('{'))
    {
        let refused = async |spec: &str, task: &str, here: Option<&str>| {
            let body = match takes_body {
                true => Body::from(
                    r#"{"content": "go on", "message_type": "user_message", "accept_weak": false}"#,
                ),
                false => Body::empty(),
            };
            let path = path(at, spec, task);
            ask_from(&router, (method, &path), (Some(TOKEN), here), body).await
        };
        // Outside of a repository, or in one that nobody worked on, it could be either.
        for here in [None, Some("/src/else")] {
            let said = refused("SPEC-1", "TSK-001", here).await;
            assert!(said.1.contains("shop/"), "{method} {at}: {}", said.1);
            let unclear = (409, "unclear_reference".to_owned());
            assert_eq!(refusal(said), unclear, "{method} {at} {here:?}");
        }
    }
    // In its repository, or named, it is that one.
    let found = async |reference: &str, here: Option<&str>| {
        let path = format!("/api/v1/{reference}");
        let (_, text) = ask_from(
            &router,
            (&Method::GET, &path),
            (Some(TOKEN), here),
            Body::empty(),
        )
        .await;
        let view: serde_json::Value = serde_json::from_str(&text).unwrap();
        (view["id"].clone(), view["name"].clone())
    };
    let named = (json!(spec.id), json!("shop/SPEC-1"));
    assert_eq!(found("specs/SPEC-1", Some("/src/shop")).await, named);
    assert_eq!(found("specs/shop%2FSPEC-1?act=true", None).await, named);
    let named = (json!(task.id), json!("shop/TSK-001"));
    assert_eq!(found("tasks/TSK-001", Some("/src/shop")).await, named);
    assert_eq!(found("tasks/shop%2Ftsk-1", Some("/else")).await, named);
}

#[tokio::test]
async fn the_only_one_there_is_may_be_read_but_not_changed_from_elsewhere() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    for (method, at, expected) in [
        (Method::GET, "/specs/SPEC-1", 200),
        (Method::GET, "/specs/SPEC-1?act=true", 409),
        (Method::POST, "/specs/SPEC-1/resume", 409),
        (Method::POST, "/specs/SPEC-1/cancel", 409),
        (Method::GET, "/tasks/TSK-001/detail", 200),
        (Method::POST, "/tasks/TSK-001/cancel", 409),
    ] {
        let path = format!("/api/v1{at}");
        let body = Body::from(r#"{"accept_weak": false}"#);
        let (status, text) = ask(&router, (&method, &path), Some(TOKEN), body).await;
        assert_eq!(status, expected, "{method} {at}: {text}");
    }
}

/// The next attempt at the same task.
async fn again(test: &TestDeployment, earlier: &Attempt) -> Attempt {
    test.leaves_open_attempts();
    test.commit(async |tx| {
        let mut live = attempts::get(tx, earlier.id).await?;
        attempts::transition(tx, &mut live, AttemptState::Failed).await?;
        let new = NewAttempt {
            project_id: live.project_id,
            spec_id: live.spec_id,
            subject: live.subject,
            round: live.round,
            role: AgentRole::Implementer,
            agent: Some(omoi_domain::agent_program::AgentProgram::Native),
            fence: live.fence + 1,
            base_sha: live.base_sha,
        };
        Ok(insert_attempt(tx, &test.build_part(), new).await?.attempt)
    })
    .await
    .unwrap()
}

async fn tells(test: &TestDeployment, attempt: &Attempt, what: AgentEventKind) {
    test.commit(async |tx| {
        let event = AgentEvent {
            attempt_id: attempt.id,
            org_id: tx.org(),
            seq: 0,
            event_id: tx.new_id(),
            event_type: what,
            data: Json(serde_json::Value::Null),
            created_at: tx.now(),
        };
        attempts::append_event(tx, attempt, event, None).await
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_log_that_is_followed_repeats_no_line() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let first = test.run_task(task.id).await.attempt;
    tells(&test, &first, AgentEventKind::ToolUse).await;
    let second = again(&test, &first).await;
    tells(&test, &second, AgentEventKind::ToolResult).await;
    let log = async |after: i64| -> TaskLog {
        let path = format!("/api/v1/tasks/TSK-001/log?after={after}");
        let (_, text) = ask(&router, (&Method::GET, &path), Some(TOKEN), Body::empty()).await;
        serde_json::from_str(&text).unwrap()
    };
    // What the agents told, not what the platform says of it.
    let types = |log: &TaskLog| -> Vec<String> {
        let told = log.lines.iter().map(|line| line.event_type.clone());
        told.filter(|kind| AgentEventKind::parse(kind).is_some())
            .collect()
    };
    let all = log(0).await;
    assert_eq!(types(&all), ["agent.tool_use", "agent.tool_result"]);
    assert!(all.lines.len() > 2 && all.after_event > 0, "{all:?}");
    let first_half = 1_i64 << 32 | 1;
    assert_eq!(types(&log(first_half).await), ["agent.tool_result"]);
    // What the first has to tell comes late.
    tells(&test, &first, AgentEventKind::FileEdited).await;
    tells(&test, &second, AgentEventKind::ItemRefused).await;
    assert_eq!(types(&log(all.after).await), ["agent.item_refused"]);
    assert_eq!(types(&log(0).await).len(), 4);
    let path = format!(
        "/api/v1/tasks/TSK-001/log?after={}&after_event={}",
        log(0).await.after,
        log(0).await.after_event
    );
    let (_, text) = ask(&router, (&Method::GET, &path), Some(TOKEN), Body::empty()).await;
    let nothing: TaskLog = serde_json::from_str(&text).unwrap();
    assert_eq!(nothing.lines, []);
}

/// The reader sees it break off; retrying for ever would look like a run without news.
#[tokio::test]
async fn a_stream_whose_database_cannot_be_read_ends() {
    let (test, router) = bench().await;
    test.deployment.store.store().close().await;
    let route = (&Method::GET, "/api/v1/events");
    let (status, text) = ask(&router, route, Some(TOKEN), Body::empty()).await;
    assert_eq!((status.as_u16(), text.as_str()), (200, ""));
}

#[tokio::test]
async fn events_name_the_person_whose_request_made_a_change() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await.id;
    let spec = test.spec.id;
    let message = json!({ "content": "be brief", "message_type": "user_message" });
    for (path, body) in [
        (format!("/tasks/{task}/messages"), message.to_string()),
        (format!("/tasks/{task}/cancel"), String::new()),
        (format!("/tasks/{task}/retry"), String::new()),
        (format!("/specs/{spec}/cancel"), String::new()),
    ] {
        let before = events::of_spec(&mut test.read_tx().await, spec, 0).await;
        let before = before.unwrap();
        let at = format!("/api/v1{path}");
        let what = (&Method::POST, at.as_str());
        let said = ask(&router, what, Some(TOKEN), Body::from(body)).await;
        assert!(said.0.is_success(), "{path}: {said:?}");
        let after = events::of_spec(&mut test.read_tx().await, spec, 0).await;
        let told = after.unwrap().split_off(before.len());
        assert!(!told.is_empty(), "{path}");
        for event in told {
            let person = Actor::User(UserId::LOCAL);
            assert_eq!(event.actor, person, "{path}: {:?}", event.event);
        }
    }
}
