//! API3, broken object property level authorization: fields that a caller of a row may not see or set.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request};
use omoi_domain::access::role::SystemRole;
use omoi_domain::attempt::AgentRole;
use omoi_domain::event::{Event, SpecChange};
use omoi_domain::id::OrgId;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::month_budget::MonthRefusal;
use omoi_domain::planted_bug::PlantedBug;
use omoi_domain::principal::PurposeKind;
use omoi_domain::time::Timestamp;
use omoi_server::ApiDoor;
use omoi_store::attempts;
use omoi_store::costs::{self, CostEntry};
use omoi_testkit::invariant::InvariantProof;
use omoi_testkit::raw_connection::RawConnection;
use serde_json::{Value, json};

use crate::event_receiver::{Served, tell_spec};
use crate::live_stream::spec_created;
use crate::matrix::{Asked, MatrixWorld};
use crate::openapi::{described, description};
use crate::sign_in_desk::{PASSWORD, SignInDesk};

both!(
    no_cost_is_told_without_the_permission,
    no_field_is_set_that_is_not_offered,
);

/// Billionths that no other number of the world is.
const SPENT: i64 = 7_123_456_789;
/// How the same is written in answers: as a field, as a number of an event, and in words.
const WRITTEN: [&str; 4] = ["7.123456789", "7123456789", "7.1235 USD", "9.87 USD"];
/// Parts of the names of fields that hold money.
const MONEY_NAMES: [&str; 4] = ["cost", "_usd", "nanousd", "spent"];

/// The operation that streams events.
const STREAM: &str = "GET /api/v1/events/stream";
/// The one that does so over a socket.
const SOCKET: &str = "GET /api/v1/ws/events";

/// What a refusal of a budget says, wherever it is written down.
fn refusal_text() -> String {
    let refusal = MonthRefusal {
        is_of_project: false,
        limit: NanoUsd::from_usd(9.87),
        spent: NanoUsd::from_nanos(SPENT),
        held: NanoUsd::ZERO,
        next: NanoUsd::from_usd(9.87),
        ends_at: Timestamp::default(),
    };
    refusal.to_string()
}

/// An attempt that cost something and ended as its budget was spent, which stands in every row that says why.
async fn spend(desk: &SignInDesk) {
    let task = desk.test.add_task(7, &[]).await;
    let attempt = desk.test.run_task(task.id).await.attempt;
    desk.test.leaves_open_attempts();
    let why = refusal_text();
    let project = desk.test.spec.project_id;
    let spent = desk.test.commit(async |tx| {
        let entry = CostEntry {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: attempt.spec_id,
            purpose: PurposeKind::Attempt,
            attempt_id: Some(attempt.id),
            role: AgentRole::Implementer,
            route: RouteName::Judge,
            model: "m".to_owned(),
            simulated: true,
            input_tokens: 1,
            output_tokens: 1,
            cache_read_tokens: 0,
            cache_write_tokens: 0,
            cache_write_1h_tokens: 0,
            cost_nanousd: NanoUsd::from_nanos(SPENT),
            latency_ms: 1,
            calls: 1,
            estimated: false,
            unrecorded: false,
            cache_miss: None,
            created_at: tx.now(),
        };
        costs::insert(tx, project, &entry).await?;
        let mut row = attempts::get(tx, attempt.id).await?;
        row.error_message = Some(why.clone());
        attempts::save(tx, &mut row).await?;
        let blocked = SpecChange {
            reason: Some(why.clone()),
            ..spec_created(&desk.test)
        };
        tx.emit(
            Some(project),
            Some(attempt.spec_id),
            Event::SpecBlocked(blocked),
        );
        Ok(())
    });
    spent.await.unwrap();
    let mut conn = RawConnection::open(desk.test.database_url()).await.unwrap();
    for sql in [
        format!("update specs set last_error = '{}'", quoted(&why)),
        format!("update tasks set error_message = '{}'", quoted(&why)),
    ] {
        conn.execute(&sql).await.unwrap();
    }
    conn.close().await.unwrap();
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

/// Whether an answer has a field of money with a value, or an amount in its words.
fn tells_costs(told: &Value) -> bool {
    let text = told.to_string();
    WRITTEN.iter().any(|amount| text.contains(amount)) || has_money_field(told)
}

fn has_money_field(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            let is_money = MONEY_NAMES.iter().any(|part| name.contains(part));
            is_money && (value.is_string() || value.is_number()) || has_money_field(value)
        }),
        Value::Array(items) => items.iter().any(has_money_field),
        _ => false,
    }
}

/// The operations whose answer to `token` tells costs. Only those are asked that look.
async fn operations_telling(
    desk: &SignInDesk,
    world: &MatrixWorld,
    token: &str,
) -> BTreeSet<String> {
    let api = description();
    let mut telling = BTreeSet::new();
    for operation in described(&api) {
        let is_look = operation.method == Method::GET || operation.path.ends_with("/forecast");
        // A stream ends where it is asked to.
        if !is_look
            || !operation.path.starts_with("/api/v1/")
            || operation.path.ends_with("/ws/events")
        {
            continue;
        }
        let asked = Asked::of_world(desk, world, (&operation, operation.body(&api)));
        let (_, told) = asked.ask(Some(token), false).await;
        if tells_costs(&told) {
            telling.insert(operation.name());
        }
    }
    // All events since the first, as they are streamed.
    let request = Request::builder()
        .uri("/api/v1/events/stream?once=true&after_seq=0")
        .header(AUTHORIZATION, format!("Bearer {token}"));
    let streamed = desk
        .send_for_text(request.body(Body::empty()).unwrap())
        .await;
    if WRITTEN.iter().any(|amount| streamed.contains(amount)) {
        telling.insert(STREAM.to_owned());
    }
    let framed = socket_text(desk, token).await;
    if WRITTEN.iter().any(|amount| framed.contains(amount)) {
        telling.insert(SOCKET.to_owned());
    }
    telling
}

/// All events since the first, as a socket tells them.
async fn socket_text(desk: &SignInDesk, token: &str) -> String {
    let served = Served::new(&desk.test, &desk.accounts, ApiDoor::Network).await;
    // Everybody is told of it, after all others.
    tell_spec(&desk.test).await;
    let last = desk.events_head().await;
    let mut socket = served.enter("after_seq=0", token).await;
    let mut frames = Vec::new();
    loop {
        let frame = socket.told().await;
        frames.push(frame.to_string());
        if frame["seq"] == last {
            return frames.join("\n");
        }
    }
}

async fn no_cost_is_told_without_the_permission(mut desk: SignInDesk) {
    let world = MatrixWorld::lay_out(&mut desk).await;
    spend(&desk).await;
    let viewer = [(OrgId::LOCAL, SystemRole::Viewer)];
    desk.add_user("vic@example.org", &viewer).await;
    let viewer = desk.sign_in("vic@example.org", PASSWORD).await.access_token;
    let owner = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
    let told = operations_telling(&desk, &world, &owner).await;
    for name in [
        "GET /api/v1/specs/{spec_id}/execution-status",
        "GET /api/v1/specs/{spec_id}",
        "GET /api/v1/specs",
        "GET /api/v1/tasks/{task_id}",
        "GET /api/v1/costs/summary",
        "GET /api/v1/costs/records",
        "GET /api/v1/costs/budgets",
        "GET /api/v1/events",
        STREAM,
        SOCKET,
    ] {
        assert!(
            told.contains(name),
            "{name} tells an owner no cost: {told:?}"
        );
    }
    let proof = InvariantProof {
        id: "API3",
        counted: "operations that tell a viewer costs",
        n_cases: told.len(),
        bug: PlantedBug::CostSight,
    };
    proof
        .check(async || {
            desk.test.advance_clock(60);
            let viewer = operations_telling(&desk, &world, &viewer).await;
            println!("{viewer:?}");
            viewer.len()
        })
        .await;
}

/// Fields that no change offers: what is theirs stays.
async fn no_field_is_set_that_is_not_offered(mut desk: SignInDesk) {
    let world = MatrixWorld::lay_out(&mut desk).await;
    let owner = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
    let api = description();
    let mut n_cases = 0;
    for operation in described(&api) {
        let is_change = [Method::PATCH, Method::PUT, Method::POST].contains(&operation.method);
        let Some(body) = operation
            .body(&api)
            .filter(|body| is_change && body.is_object())
        else {
            continue;
        };
        if operation.permission() == "public" || !operation.path.starts_with("/api/v1/") {
            continue;
        }
        for field in [
            "org_id",
            "approval_status",
            "is_super_admin",
            "is_staff",
            "owner_id",
            "state_version",
        ] {
            let mut body = body.clone();
            if body.get(field).is_some() {
                continue;
            }
            body[field] = json!(true);
            let asked = Asked::of_world(&desk, &world, (&operation, Some(body)));
            desk.test.advance_clock(1);
            let (status, told) = asked.ask(Some(&owner), false).await;
            n_cases += 1;
            // A path with a number in it is read first.
            let is_path = told["message"]
                .as_str()
                .is_some_and(|says| says.starts_with("Invalid URL"));
            let is_refused = status == 422 && (told["error"] == "unknown_field" || is_path);
            // Who may not call it, or names a row that is not there, is told that first.
            assert!(
                is_refused || matches!(status, 403 | 404),
                "{} took `{field}`: {status} {told}",
                operation.name()
            );
        }
    }
    assert!(n_cases > 300, "{n_cases}");
}

/// Paths to amounts that stand in every answer of `schema`, however deep.
fn told_amounts(api: &Value, schema: &Value, seen: &[&str]) -> Vec<String> {
    if let Some(named) = schema["$ref"].as_str() {
        let name = named.rsplit('/').next().unwrap();
        return match name {
            "UsdText" => vec![String::new()],
            name if seen.contains(&name) => Vec::new(),
            name => {
                let seen = [seen, &[name]].concat();
                told_amounts(api, &api["components"]["schemas"][name], &seen)
            }
        };
    }
    if !schema.is_object() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let demanded = schema["required"].as_array().into_iter().flatten();
        let mut amounts = told_amounts(api, property, seen);
        // An amount may be left out; what holds one is looked into either way.
        amounts.retain(|path| !path.is_empty() || demanded.clone().any(|one| one == name));
        found.extend(amounts.iter().map(|path| format!("/{name}{path}")));
    }
    for part in ["items", "additionalProperties"] {
        found.extend(
            told_amounts(api, &schema[part], seen)
                .iter()
                .map(|path| format!("/*{path}")),
        );
    }
    for part in ["allOf", "anyOf", "oneOf"] {
        let parts = schema[part].as_array().into_iter().flatten();
        found.extend(parts.flat_map(|part| told_amounts(api, part, seen)));
    }
    found
}

#[test]
fn every_amount_of_the_description_may_be_left_out() {
    let api = description();
    let mut n_behind = 0;
    for operation in described(&api) {
        let told: Vec<String> = operation
            .answers()
            .flat_map(|schema| told_amounts(&api, schema, &[]))
            .collect();
        let is_behind = operation.permission().starts_with("cost:");
        assert!(
            is_behind || told.is_empty(),
            "{} tells amounts to everybody: {told:?}",
            operation.name()
        );
        n_behind += usize::from(is_behind && !told.is_empty());
    }
    assert!(n_behind > 5, "amounts were not found at all: {n_behind}");
}
