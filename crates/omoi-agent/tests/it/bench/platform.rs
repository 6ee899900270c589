//! A platform that answers as the contract says and remembers what it was told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use omoi_domain::id::MessageId;
use omoi_llm::scenario::Scenario;
use omoi_llm::simulated::SimulatedModel;
use omoi_protocol::worker::{
    AckMessages, CommitTurn, InboxMessage, ItemAck, ItemOutcome, ItemsAck, ReportComplete,
    ReportEvents, ReportStarted, SubmitItem, SubmitItems, WorkerEvent,
};
use omoi_runtime::clock::{Clock as _, SystemClock};

/// What the attempt is known by.
pub(super) const TOKEN: &str = "secret-of-one-attempt";

/// What the platform was told, and how it behaves.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) started: Vec<ReportStarted>,
    pub(crate) turns: Vec<CommitTurn>,
    pub(crate) events: Vec<WorkerEvent>,
    pub(crate) completes: Vec<ReportComplete>,
    pub(crate) items: Vec<SubmitItem>,
    /// Items of each report that brought some.
    pub(crate) item_reports: Vec<usize>,
    pub(crate) acked: Vec<MessageId>,
    pub(crate) heartbeats: u32,
    pub(crate) polls: u32,
    /// Whether events are held back until the end is reported.
    pub(crate) holds_events: bool,
    /// Whether events that were held back came to their turn before the end was reported.
    pub(crate) waited_for_events: bool,
    pub(crate) model_status: Option<u16>,
    /// Statuses of the next refusals that pass, the last one first.
    pub(crate) busy_statuses: Vec<u16>,
    pub(crate) model_kind: Option<&'static str>,
    pub(crate) late_error: Option<&'static str>,
    /// Statuses of refusals that pass, each told once; 200 is one within a stream.
    pub(crate) passing_refusals: Vec<u16>,
    pub(crate) asked: u32,
    /// The model refuses as too long for it what follows so many of its answers in one conversation.
    pub(crate) over_window_after: Option<usize>,
    pub(crate) turns_superseded: bool,
    /// The first turn is taken only after the model was asked for the next one; what its tool makes.
    pub(crate) first_turn_waits: Option<PathBuf>,
    /// Whether that was there already when the first turn was taken.
    pub(crate) is_made_early: Option<bool>,
    pub(crate) abort: bool,
    pub(crate) failures_left: u32,
    pub(crate) items_wanted: usize,
    pub(super) messages: Vec<InboxMessage>,
}

pub(super) type Shared = Arc<Mutex<Seen>>;

/// The platform whose model follows `rules`; it remembers in `seen`.
pub(super) fn build_app(rules: &str, seen: &Shared) -> Router {
    let text = format!("version: 1\nname: t\nrules:{rules}");
    let scenario = Scenario::read_from("s.yaml", &|_| Ok(text.clone().into_bytes()));
    let scenario = scenario.unwrap_or_else(|errors| panic!("{errors}"));
    let model = SimulatedModel::new(scenario, None)
        .build_router()
        .layer(from_fn_with_state(seen.clone(), gateway));
    let worker = Router::new()
        .route("/started", post(started))
        .route("/events", post(events))
        .route("/heartbeat", post(heartbeat))
        .route("/messages", get(messages))
        .route("/messages/ack", post(ack))
        .route("/turns", post(turns))
        .route("/items", post(items))
        .route("/done", post(done))
        .route("/complete", post(complete))
        .layer(from_fn_with_state(seen.clone(), guard))
        .with_state(seen.clone());
    Router::new()
        .nest("/api/v1/sandboxes/{id}", worker)
        .fallback_service(model)
}

/// A refusal of the gateway that passes by itself, with `status`; for 200 it is an error event of a stream.
fn passing_refusal(status: u16) -> Response {
    let mut error = json!({"type": "error", "error": {"type": "api_error", "message": "not now"}});
    if status == 200 {
        error["should_retry"] = true.into();
        let events = format!("event: error\ndata: {error}\n\n");
        return ([("content-type", "text/event-stream")], events).into_response();
    }
    let headers = [("x-should-retry", "true"), ("retry-after", "0")];
    let status = StatusCode::from_u16(status).unwrap();
    (status, headers, Json(error)).into_response()
}

/// As the gateway does, names who asks.
async fn gateway(State(seen): State<Shared>, mut request: Request, next: Next) -> Response {
    let (status, kind, late, n_answers) = {
        let mut seen = seen.lock().unwrap();
        seen.asked += 1;
        if let Some(status) = seen.passing_refusals.pop() {
            return passing_refusal(status);
        }
        let n_answers = seen.over_window_after;
        (
            seen.model_status,
            seen.model_kind,
            seen.late_error,
            n_answers,
        )
    };
    let busy = seen.lock().unwrap().busy_statuses.pop();
    if let Some(status) = busy {
        let headers = [("x-should-retry", "true"), ("retry-after", "0")];
        let body = json!({"type": "error", "error": {"type": "api_error", "message": "busy"}});
        return (StatusCode::from_u16(status).unwrap(), headers, Json(body)).into_response();
    }
    if let Some(kind) = late {
        let error = json!({"type": "error", "error": {"type": kind, "message": "told late"}});
        let events =
            format!("event: ping\ndata: {{\"type\": \"ping\"}}\n\nevent: error\ndata: {error}\n\n");
        return ([("content-type", "text/event-stream")], events).into_response();
    }
    if let Some(n_answers) = n_answers {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 32 << 20).await.unwrap();
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let messages = asked["messages"].as_array().unwrap().iter();
        if messages.filter(|m| m["role"] == "assistant").count() >= n_answers {
            let says = "prompt is too long: 9000 tokens > 8000 maximum";
            let error = json!({"type": "invalid_request_error", "message": says});
            let body = json!({"type": "error", "error": error});
            return (StatusCode::BAD_REQUEST, Json(body)).into_response();
        }
        request = Request::from_parts(parts, body.into());
    }
    if let Some(status) = status {
        let body = json!({"type": "error", "error": {"type": kind.unwrap_or("billing_error"), "message": "spent"}});
        return (StatusCode::from_u16(status).unwrap(), Json(body)).into_response();
    }
    for (name, value) in [
        ("x-omoi-role", "coder"),
        ("x-omoi-task", "TSK-001"),
        ("x-omoi-phase", "explore"),
    ] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    next.run(request).await
}

async fn guard(State(seen): State<Shared>, request: Request, next: Next) -> Response {
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(request.headers()["authorization"], bearer.as_str());
    {
        let mut seen = seen.lock().unwrap();
        let is_report = !request.uri().path().contains("messages");
        if is_report && seen.failures_left > 0 {
            seen.failures_left -= 1;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    }
    next.run(request).await
}

async fn started(State(seen): State<Shared>, Json(body): Json<ReportStarted>) -> StatusCode {
    seen.lock().unwrap().started.push(body);
    StatusCode::NO_CONTENT
}

async fn events(State(seen): State<Shared>, Json(body): Json<ReportEvents>) -> Json<Value> {
    assert!(!body.events.is_empty() && body.events.len() <= 100);
    let stored = body.events.len();
    seen.lock().unwrap().events.extend(body.events);
    hold_events(&seen).await;
    Json(json!({ "stored": stored }))
}

/// Holds a report of events until the end is reported, but not for as long as the worker waits for events at its end.
async fn hold_events(seen: &Shared) {
    for _ in 0..200 {
        let is_over = {
            let seen = seen.lock().unwrap();
            !seen.holds_events || !seen.completes.is_empty()
        };
        if is_over {
            return;
        }
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    seen.lock().unwrap().waited_for_events = true;
}

async fn heartbeat(State(seen): State<Shared>) -> Json<Value> {
    let mut seen = seen.lock().unwrap();
    seen.heartbeats += 1;
    let commands: &[&str] = if seen.abort && seen.heartbeats > 1 {
        &["abort"]
    } else {
        &[]
    };
    Json(json!({ "received": true, "commands": commands }))
}

async fn messages(
    State(seen): State<Shared>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Json<Vec<InboxMessage>> {
    let known = asked.get("known").cloned().unwrap_or_default();
    for _ in 0..100 {
        let open = {
            let mut seen = seen.lock().unwrap();
            seen.polls += 1;
            let open = seen.messages.iter();
            let open = open.filter(|m| !known.contains(&m.id.to_string()));
            open.cloned().collect::<Vec<_>>()
        };
        if !open.is_empty() {
            return Json(open);
        }
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    Json(Vec::new())
}

async fn ack(State(seen): State<Shared>, Json(body): Json<AckMessages>) -> StatusCode {
    let mut seen = seen.lock().unwrap();
    seen.messages.retain(|m| !body.ids.contains(&m.id));
    seen.acked.extend(body.ids);
    StatusCode::NO_CONTENT
}

/// Waits until the model was asked twice, and has had time to answer.
async fn wait_asked_ahead(seen: &Shared) {
    let (mut n_looks, mut n_asked_twice) = (0, 0);
    while n_looks < 250 && n_asked_twice < 5 {
        SystemClock.sleep(Duration::from_millis(20)).await;
        n_looks += 1;
        n_asked_twice += u32::from(seen.lock().unwrap().asked >= 2);
    }
}

async fn turns(State(seen): State<Shared>, body: Bytes) -> Response {
    let made = seen.lock().unwrap().first_turn_waits.take();
    if let Some(made) = made {
        wait_asked_ahead(&seen).await;
        seen.lock().unwrap().is_made_early = Some(made.exists());
    }
    let mut seen = seen.lock().unwrap();
    if seen.turns_superseded {
        let body = json!({"error": "superseded_attempt", "message": "too late"});
        return (StatusCode::CONFLICT, Json(body)).into_response();
    }
    let body: CommitTurn = serde_json::from_slice(&body).unwrap();
    seen.messages.retain(|m| !body.messages.contains(&m.id));
    seen.turns.push(body);
    StatusCode::NO_CONTENT.into_response()
}

async fn items(State(seen): State<Shared>, Json(body): Json<SubmitItems>) -> Json<ItemsAck> {
    let mut seen = seen.lock().unwrap();
    seen.item_reports.push(body.items.len());
    let outcomes = body.items.into_iter().map(|item| {
        if item.section == "refused" {
            let message = format!("no section for `{}`", item.key);
            return ItemOutcome::Refused { message };
        }
        seen.items.push(item);
        let seq = i64::try_from(seen.items.len()).unwrap();
        let notes = Vec::new();
        ItemOutcome::Accepted(ItemAck { seq, notes })
    });
    let outcomes = outcomes.collect();
    Json(ItemsAck { outcomes })
}

async fn done(State(seen): State<Shared>) -> Response {
    let seen = seen.lock().unwrap();
    let (have, want) = (seen.items.len(), seen.items_wanted);
    if have < want {
        let body = json!({"error": "incomplete", "message": format!("{have} of {want} items")});
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response();
    }
    Json(json!({ "items": have })).into_response()
}

async fn complete(State(seen): State<Shared>, Json(body): Json<ReportComplete>) -> Json<Value> {
    seen.lock().unwrap().completes.push(body);
    Json(json!({ "status": "accepted" }))
}
