//! What a sandbox reaches: worker endpoints and the model gateway, bound to one attempt's token.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures::StreamExt as _;
use omoi_domain::id::SandboxId;
use omoi_execution::metering::caller;
use omoi_execution::{Platform, discovery, intake};
use omoi_llm::gateway::{Body as GatewayBody, Gateway, GatewayRequest, REQUEST_BYTES_MAX};
use omoi_planning::items;
use omoi_protocol::worker::{
    AckMessages, CommitTurn, Complete, CompleteAck, DiscoveryAck, DoneAck, Heartbeat, HeartbeatAck,
    InboxMessage, ItemAck, Received, ReportDiscovery, ReportEvents, Started, SubmitItem,
};
use omoi_store::attempts::Attempt;
use serde::Deserialize;

use crate::auth::token;
use crate::error::ApiError;

/// Bytes of one report: a bundle of the largest size, as base64 in JSON.
const BODY_BYTES_MAX: usize = 360 << 20;

/// What the worker surface stands on.
#[derive(Clone)]
pub struct WorkerSurface {
    /// The platform.
    pub platform: Platform,
    /// The model gateway; none where no model is configured.
    pub gateway: Option<Gateway>,
}

/// The routes of the worker surface.
pub fn router(surface: WorkerSurface) -> Router {
    let reports = Router::new()
        .route("/started", post(started))
        .route("/events", post(events))
        .route("/heartbeat", post(heartbeat))
        .route("/messages", get(messages))
        .route("/messages/ack", post(ack))
        .route("/turns", post(turns))
        .route("/items", post(submit))
        .route("/done", post(done))
        .route("/discoveries", post(discover))
        .route("/complete", post(complete))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    Router::new()
        .nest("/api/v1/sandboxes/{sandbox}", reports)
        .route("/", any(model))
        .route("/v1", any(model))
        .route("/v1/{*rest}", any(model))
        .with_state(surface)
}

/// The live attempt of the request's token, which must be the one the path names.
async fn authenticate(
    surface: &WorkerSurface,
    headers: &HeaderMap,
    sandbox: SandboxId,
) -> Result<Attempt, ApiError> {
    let token = token(headers).ok_or_else(ApiError::unauthorized)?;
    let attempt = intake::authenticate(&surface.platform, token).await?;
    if attempt.id.as_uuid() != sandbox.as_uuid() {
        let says = "the token belongs to another sandbox";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "wrong_sandbox", says));
    }
    Ok(attempt)
}

type Surface = State<WorkerSurface>;
type Answer<T> = Result<Json<T>, ApiError>;

async fn started(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    headers: HeaderMap,
    Json(_): Json<Started>,
) -> Result<StatusCode, ApiError> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    intake::started(&s.platform, attempt.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn events(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    headers: HeaderMap,
    Json(body): Json<ReportEvents>,
) -> Answer<Received> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    Ok(Json(
        intake::report_events(&s.platform, &attempt, body).await?,
    ))
}

async fn heartbeat(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    headers: HeaderMap,
    Json(_): Json<Heartbeat>,
) -> Answer<HeartbeatAck> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    Ok(Json(intake::heartbeat(&s.platform, attempt.id).await?))
}

#[derive(Deserialize)]
struct Wait {
    #[serde(default)]
    wait: u64,
}

async fn messages(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    Query(query): Query<Wait>,
    headers: HeaderMap,
) -> Answer<Vec<InboxMessage>> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    let wait = Duration::from_secs(query.wait);
    Ok(Json(intake::messages(&s.platform, &attempt, wait).await?))
}

async fn ack(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    headers: HeaderMap,
    Json(body): Json<AckMessages>,
) -> Result<StatusCode, ApiError> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    intake::ack(&s.platform, &attempt, body).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn turns(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    headers: HeaderMap,
    Json(body): Json<CommitTurn>,
) -> Result<StatusCode, ApiError> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    intake::commit_turn(&s.platform, &attempt, body).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn submit(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    headers: HeaderMap,
    Json(body): Json<SubmitItem>,
) -> Answer<ItemAck> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    Ok(Json(items::submit(&s.platform, &attempt, body).await?))
}

async fn done(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    headers: HeaderMap,
) -> Answer<DoneAck> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    Ok(Json(items::done(&s.platform, &attempt).await?))
}

async fn discover(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    headers: HeaderMap,
    Json(body): Json<ReportDiscovery>,
) -> Answer<DiscoveryAck> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    Ok(Json(discovery::report(&s.platform, &attempt, body).await?))
}

async fn complete(
    State(s): Surface,
    Path(sandbox): Path<SandboxId>,
    headers: HeaderMap,
    Json(body): Json<Complete>,
) -> Answer<CompleteAck> {
    let attempt = authenticate(&s, &headers, sandbox).await?;
    intake::complete(&s.platform, &attempt, body).await?;
    Ok(Json(CompleteAck {
        status: "accepted".to_owned(),
    }))
}

/// Hands a model request to the gateway on behalf of the token's attempt.
async fn model(State(s): Surface, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let token = token(&parts.headers).ok_or_else(ApiError::unauthorized)?;
    let attempt = intake::authenticate(&s.platform, token).await?;
    let Some(gateway) = &s.gateway else {
        let says = "no model is configured in the process that runs this sandbox";
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_model",
            says,
        ));
    };
    let body: Bytes = axum::body::to_bytes(body, REQUEST_BYTES_MAX + 1)
        .await
        .map_err(|_| ApiError::bad_request("the request is larger than 10 MiB"))?;
    let caller = {
        let mut tx = s.platform.store.read().await?;
        caller(&mut tx, &attempt).await?
    };
    let path = parts.uri.path().to_owned();
    let request = GatewayRequest {
        method: parts.method,
        path,
        headers: parts.headers,
        body,
    };
    let reply = gateway.handle(&caller, request).await;
    let body = match reply.body {
        GatewayBody::Full(bytes) => Body::from(bytes),
        GatewayBody::Events(events) => {
            Body::from_stream(events.map(Ok::<Bytes, std::convert::Infallible>))
        }
    };
    Ok((reply.status, reply.headers, body).into_response())
}
