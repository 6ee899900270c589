//! What people are refused, and what numbers mean.

use axum::Router;
use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use omoi_accounts::context::AccountContext;
use omoi_accounts::providers::SignInProviders;
use omoi_domain::actor::Actor;
use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AgentRole, AttemptState};
use omoi_domain::config::Config;
use omoi_domain::id::UserId;
use omoi_domain::model_kind::ModelKind;
use omoi_execution::attempt::{NewAttempt, insert_attempt};
use omoi_execution::options::{agent, approval, discovery};
use omoi_git::toolchain::HostEnvironment;
use omoi_llm::options::ANTHROPIC_KEYS;
use omoi_planning::options::{SPEC_KEYS, VALIDATION_KEYS};
use omoi_protocol::api::{ProcessStatus, TaskLog};
use omoi_runtime::config::{ConfigSources, KeyTable, load_config};
use omoi_runtime::options::DATA_KEYS;
use omoi_sandbox::options::SANDBOX_KEYS;
use omoi_server::api::{CursorKeys, SurfaceParts, router};
use omoi_server::options::{ServerMode, SiteOptions};
use omoi_server::site::Site;
use omoi_server::{ApiDoor, RequestLimits};
use omoi_store::attempts::{self, AgentEvent, Attempt};
use omoi_store::{Json, events, projects, specs, tasks, tickets};
use omoi_testkit::deployment::TestDeployment;

use crate::ask::ask;
use crate::sign_in_desk::accounts_of;

pub(crate) const TOKEN: &str = "the token of the data folder";

pub(crate) async fn bench() -> (TestDeployment, Router) {
    let test = TestDeployment::new().await;
    let router = router_of(&test);
    (test, router)
}

/// The API of `test`.
pub(crate) fn router_of(test: &TestDeployment) -> Router {
    router_behind(test, ApiDoor::Folder)
}

/// The same behind `door`.
pub(crate) fn router_behind(test: &TestDeployment, door: ApiDoor) -> Router {
    router_with(test, accounts_of(test), door)
}

/// The same with `accounts`, which the test changes too.
pub(crate) fn router_with(
    test: &TestDeployment,
    accounts: AccountContext,
    door: ApiDoor,
) -> Router {
    let surface = SurfaceParts {
        site: site_behind(door),
        ..surface_with(test, accounts)
    };
    router(surface, door)
}

/// The routes of a deployment without a mail server.
pub(crate) fn router_without_mail(test: &TestDeployment, accounts: AccountContext) -> Router {
    let surface = SurfaceParts {
        sends_mail: false,
        ..surface_with(test, accounts)
    };
    router(surface, ApiDoor::Network)
}

/// The routes with `accounts`, where people sign in by `providers`, too.
pub(crate) fn router_of_providers(
    test: &TestDeployment,
    accounts: AccountContext,
    providers: SignInProviders,
    door: ApiDoor,
) -> Router {
    let surface = SurfaceParts {
        providers,
        site: site_behind(door),
        ..surface_with(test, accounts)
    };
    router(surface, door)
}

/// What the API of `test` stands on.
pub(crate) fn surface_of(test: &TestDeployment) -> SurfaceParts {
    surface_with(test, accounts_of(test))
}

pub(crate) fn surface_with(test: &TestDeployment, accounts: AccountContext) -> SurfaceParts {
    SurfaceParts {
        parts: test.build_part(),
        host: HostEnvironment::default(),
        config: own_configuration(),
        token: Some(TOKEN.to_owned()),
        accounts,
        providers: SignInProviders::default(),
        sends_mail: true,
        cursor_keys: CursorKeys::new([7; 32], []),
        own_prices: Vec::new(),
        site: laptop_site(),
        limits: RequestLimits::default(),
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
    }
}

/// Others reach a team's server alone.
pub(crate) fn site_behind(door: ApiDoor) -> Site {
    match door {
        ApiDoor::Folder | ApiDoor::Loopback => laptop_site(),
        ApiDoor::Network => team_site(),
    }
}

/// A laptop's server that listens at port 8000.
pub(crate) fn laptop_site() -> Site {
    let options = SiteOptions {
        mode: ServerMode::Local,
        public_url: None,
        allowed_origins: Vec::new(),
        trusted_proxies: Vec::new(),
    };
    let loopback = "127.0.0.1".parse().unwrap();
    let site = Site::of_options(&options).unwrap();
    site.listening_at(loopback, 8000).unwrap()
}

/// A team's server behind a proxy.
pub(crate) fn team_site() -> Site {
    let options = SiteOptions {
        mode: ServerMode::Team,
        public_url: Some("https://omoi.example.org".to_owned()),
        allowed_origins: vec!["https://board.example.org".to_owned()],
        trusted_proxies: vec!["10.0.0.0/8".to_owned()],
    };
    Site::of_options(&options).unwrap()
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
        approval::APPROVAL_KEYS,
    ],
    rules: &[],
};

/// Every key at its default.
fn own_configuration() -> Config {
    let sources = ConfigSources::default().with_flag("data.dir", "/nowhere");
    load_config(&TABLE, &sources).unwrap()
}

/// A second project with a SPEC-1 and a TSK-001 of its own.
pub(crate) async fn second_project(test: &TestDeployment) -> (specs::Spec, tasks::Task) {
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
            spec_id: Some(spec.id),
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

/// What `GET` of `path` below the base says, as a status with a code or id and name.
pub(crate) async fn told(router: &Router, path: &str) -> (u16, String, Value) {
    let path = format!("/api/v1{path}");
    let (status, text) = ask(router, (&Method::GET, &path), Some(TOKEN), Body::empty()).await;
    let told: Value = serde_json::from_str(&text).unwrap();
    let code = told["error"].as_str().unwrap_or_default().to_owned();
    (status.as_u16(), code, told)
}

#[tokio::test]
async fn a_number_means_what_the_repository_says_and_nothing_is_guessed() {
    let (test, router) = bench().await;
    let (spec, task) = second_project(&test).await;
    // Outside of a repository, or in one that nobody worked on, it could be either.
    for (kind, number) in [("spec", "SPEC-1"), ("task", "TSK-001")] {
        for here in ["", "&repo_path=/src/else"] {
            let path = format!("/resolve?kind={kind}&ref={number}{here}");
            let (status, code, told) = told(&router, &path).await;
            assert_eq!(
                (status, code.as_str()),
                (409, "unclear_reference"),
                "{told}"
            );
            let candidates = told["context"]["candidates"].as_array().unwrap();
            let shop = json!(format!("shop/{number}"));
            assert!(candidates.contains(&shop), "{told}");
        }
    }
    for at in [
        "/specs/SPEC-1",
        "/tasks/TSK-001/log",
        "/events?spec_id=SPEC-1",
    ] {
        let (status, code, _) = told(&router, at).await;
        assert_eq!((status, code.as_str()), (409, "unclear_reference"), "{at}");
    }
    // In its repository, or named, it is that one.
    for (asked, id, name) in [
        (
            "kind=spec&ref=SPEC-1&repo_path=/src/shop",
            json!(spec.id),
            "shop/SPEC-1",
        ),
        (
            "kind=spec&ref=shop%2FSPEC-1&use=act",
            json!(spec.id),
            "shop/SPEC-1",
        ),
        (
            "kind=spec&repo_path=/src/shop",
            json!(spec.id),
            "shop/SPEC-1",
        ),
        (
            "kind=task&ref=TSK-001&repo_path=/src/shop",
            json!(task.id),
            "shop/TSK-001",
        ),
        (
            "kind=task&ref=shop%2Ftsk-1&repo_path=/else",
            json!(task.id),
            "shop/TSK-001",
        ),
    ] {
        let (status, _, told) = told(&router, &format!("/resolve?{asked}")).await;
        assert_eq!(
            (status, &told["id"], &told["name"]),
            (200, &id, &json!(name)),
            "{asked}"
        );
    }
    let of_shop = format!("?project_id={}", spec.project_id);
    let (_, _, shown) = told(&router, &format!("/specs/SPEC-1{of_shop}")).await;
    assert_eq!(shown["spec"]["id"], json!(spec.id), "{shown}");
    let (_, _, shown) = told(&router, &format!("/tasks/TSK-001{of_shop}")).await;
    assert_eq!(shown["task"]["id"], json!(task.id), "{shown}");
    let elsewhere = format!("/specs/{}{of_shop}", test.spec.id);
    assert_eq!(told(&router, &elsewhere).await.0, 404, "another project's");
}

#[tokio::test]
async fn the_only_one_there_is_may_be_read_but_not_changed_from_elsewhere() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    for (asked, expected) in [
        ("kind=spec&ref=SPEC-1", 200),
        ("kind=spec&ref=SPEC-1&use=read", 200),
        ("kind=spec&ref=SPEC-1&use=act", 409),
        ("kind=task&ref=TSK-001", 200),
        ("kind=task&ref=TSK-001&use=act", 409),
        ("kind=task", 422),
        ("kind=ticket&ref=TKT-001", 200),
        ("kind=ticket", 422),
        ("kind=project", 200),
        ("kind=project&repo_path=/src/none", 404),
        ("kind=project&ref=repo", 422),
        ("kind=spec&ref=nonsense", 422),
        ("kind=spec&ref=SPEC-9", 404),
    ] {
        let (status, _, told) = told(&router, &format!("/resolve?{asked}")).await;
        assert_eq!(status, expected, "{asked}: {told}");
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

#[tokio::test]
async fn a_spec_is_listed_by_project_shown_by_phase_and_renamed_until_it_is_at_work() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    let project = test.spec.project_id;
    let at = format!("/specs/project/{project}");
    for (more, n) in [("", 1), ("?status=working", 1), ("?status=draft", 0)] {
        let (status, _, told) = told(&router, &format!("{at}{more}")).await;
        assert_eq!(
            (status, told["items"].as_array().unwrap().len()),
            (200, n),
            "{more}"
        );
    }
    let unknown = "/specs/project/01930000-0000-7000-8000-0000000000ff";
    assert_eq!(told(&router, unknown).await.0, 404);
    let (_, _, told_tasks) = told(&router, "/specs/SPEC-1/tasks").await;
    assert_eq!(
        told_tasks["items"][0]["task_ref"], "TSK-001",
        "{told_tasks}"
    );
    let (status, _, criteria) = told(&router, "/specs/SPEC-1/criteria-status").await;
    assert_eq!(
        (status, &criteria["n_proven"]),
        (200, &json!(0)),
        "{criteria}"
    );
    assert_eq!(told(&router, "/specs/SPEC-1/phase-data").await.0, 200);
    let rename = async |title: Value| {
        let body = json!({ "title": title }).to_string();
        let what = (&Method::PATCH, "/api/v1/specs/SPEC-1");
        let (status, text) = ask(&router, what, Some(TOKEN), body.into()).await;
        (
            status.as_u16(),
            serde_json::from_str::<Value>(&text).unwrap(),
        )
    };
    for title in [json!(" \n"), Value::Null, json!(7)] {
        let (status, refused) = rename(title).await;
        let code = (status, &refused["error"]);
        assert_eq!(code, (422, &json!("validation_failed")), "{refused}");
    }
    let (status, refused) = rename(json!("Too late")).await;
    assert_eq!(
        (status, &refused["error"]),
        (409, &json!("at_work")),
        "{refused}"
    );
    let empty = (&Method::PATCH, "/api/v1/specs/SPEC-1");
    let (status, text) = ask(&router, empty, Some(TOKEN), "{}".into()).await;
    assert_eq!(status.as_u16(), 200, "nothing is changed: {text}");
}
