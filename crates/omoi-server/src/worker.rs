//! What a sandbox reaches: worker endpoints and the model gateway, bound to one attempt's token.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{DefaultBodyLimit, Query, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use futures::StreamExt as _;
use serde::Deserialize;
use tracing::{error, info, warn};

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::MessageId;
use omoi_domain::secret_mask::SecretMask;
use omoi_execution::intake::{AttemptIntake, IntakeError};
use omoi_execution::running_attempts::RunningAttempts;
use omoi_execution::{DeploymentParts, FromParts, discovery, intake};
use omoi_llm::gateway::{
    GatewayRefusal, GatewayReply, GatewayRequest, ModelGateway, REQUEST_BYTES_MAX,
    ReplyBody as GatewayBody, caller_dialect,
};
use omoi_llm::wire::headers::told_turns;
use omoi_planning::items;
use omoi_planning::plan_gate::PlanGate;
use omoi_protocol::worker::{
    AckMessages, CommitTurn, CompleteAck, DiscoveryAck, DoneAck, EventsAck, HeartbeatAck,
    InboxMessage, ItemsAck, KNOWN_MESSAGES_MAX, ReportComplete, ReportDiscovery, ReportEvents,
    ReportHeartbeat, ReportStarted, SubmitItems,
};
use omoi_runtime::clock::{Clocked, with_deadline};
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::telemetry::error_chain;
use omoi_store::Tenant;
use omoi_store::attempts::Attempt;

use crate::access_log::{RequestIds, RequestSurface, note_attempt, with_access_log};
use crate::connection_seats::{CROWDED_WAIT, ConnectionSeat, CrowdedAttempt};
use crate::egress::{AttemptProxy, open_egress};
use crate::error::ApiError;
use crate::report_body::{BUNDLE_BYTES_MAX, BodyBounds, REPORT_BYTES_MAX, ReportRooms, take_body};
use crate::reported::Reported;
use crate::request_token::request_token;
use crate::sandbox_limits::{SandboxTraffic, TrafficLimits};

/// How long the body of a model request may take to come.
const REQUEST_TIME_MAX: Duration = Duration::from_mins(1);

/// What reports of workers are applied to.
#[derive(Clone)]
pub struct WorkerParts {
    /// Applies what workers report.
    pub intake: AttemptIntake,
    /// Takes what a phase submits.
    pub gate: PlanGate,
    /// Takes the secrets of this process out of reports.
    pub mask: SecretMask,
    /// The clock of this process.
    pub clock: Clocked,
    /// Starts what must not hold up other reports.
    pub lifecycle: LifecycleHandle,
    /// Names each request in the log.
    pub request_ids: RequestIds,
    /// Counts what each sandbox sends.
    pub limits: TrafficLimits,
    /// The room for what sandboxes send.
    pub rooms: ReportRooms,
    /// The attempts that this process works on.
    pub running: RunningAttempts,
}

impl FromParts for WorkerParts {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            intake: AttemptIntake::from_parts(parts),
            gate: PlanGate::from_parts(parts),
            mask: parts.mask.clone(),
            clock: parts.clock.clone(),
            lifecycle: parts.lifecycle.clone(),
            request_ids: RequestIds::from_parts(parts),
            limits: TrafficLimits::from_parts(parts),
            rooms: ReportRooms::default(),
            running: parts.running.clone(),
        }
    }
}

/// What the worker surface stands on.
#[derive(Clone)]
pub struct WorkerSurface {
    /// What reports are applied to.
    pub parts: WorkerParts,
    /// The model gateway, or why there is none.
    pub gateway: Result<ModelGateway, String>,
    /// The way out of sandboxes; none where there is no proxy.
    pub egress: Option<AttemptProxy>,
}

/// The routes of the worker surface.
///
/// A token is looked at before a body is read: what a stranger sends costs nothing to hold.
pub fn router(surface: WorkerSurface) -> Router {
    let bounded = |routes: Router<WorkerSurface>, bytes_max| {
        let bounds = BodyBounds {
            rooms: surface.parts.rooms.clone(),
            clock: surface.parts.clock.clone(),
            bytes_max,
        };
        routes.layer(middleware::from_fn_with_state(bounds, take_body))
    };
    let large = Router::new()
        .route("/turns", post(commit_turn))
        .route("/complete", post(complete_attempt));
    let small = Router::new()
        .route("/started", post(report_started))
        .route("/events", post(report_events))
        .route("/heartbeat", post(report_heartbeat))
        .route("/messages", get(list_messages))
        .route("/messages/ack", post(ack_messages))
        .route("/items", post(submit_items))
        .route("/done", post(finish_phase))
        .route("/discoveries", post(report_discovery))
        .route("/egress", get(open_egress));
    let reports = bounded(small, REPORT_BYTES_MAX)
        .merge(bounded(large, BUNDLE_BYTES_MAX))
        // Bodies are bounded before they are read.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            surface.clone(),
            check_worker_token,
        ));
    let ids = surface.parts.request_ids.clone();
    let router = Router::new()
        .nest("/api/v1/sandboxes/{sandbox}", reports)
        .route("/", any(call_model))
        .route("/v1", any(call_model))
        .route("/v1/{*rest}", any(call_model))
        .with_state(surface);
    with_access_log(router, RequestSurface::Worker, ids)
}

/// Reports that are taken in, or answered again, after their attempt is over.
const TAKEN_LATE: [&str; 3] = ["/events", "/heartbeat", "/complete"];

/// Lets in the attempt of the request's token, which must be the one the path names. What one that
/// is over reports is recorded and refused.
async fn check_worker_token(
    State(s): Surface,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = authenticate(&s, request.headers()).await?;
    let attempt = &caller.attempt;
    claim_seat(request.extensions(), attempt)?;
    let id = attempt.id.to_string();
    if !params.iter().any(|named| named == ("sandbox", id.as_str())) {
        warn!("A worker used the address of another sandbox");
        let says = "the token belongs to another sandbox";
        return Err(ApiError::new(ErrorCode::WrongSandbox, says));
    }
    let path = request.uri().path();
    if let Some(traffic) = SandboxTraffic::of_report(request.method(), path) {
        s.parts.limits.count_traffic(attempt.id, traffic, 1)?;
    }
    if !TAKEN_LATE.iter().any(|late| path.ends_with(late)) {
        let report = path.rsplit('/').next().unwrap_or_default();
        intake::expect_live(&caller.tenant, attempt, report).await?;
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

async fn authenticate(s: &WorkerSurface, headers: &HeaderMap) -> Result<WorkerCaller, ApiError> {
    let token = request_token(headers).ok_or_else(ApiError::no_credential)?;
    let store = s.parts.intake.store.store();
    let (tenant, attempt) = intake::authenticate_worker(store, token).await?;
    note_attempt(&attempt.id.to_string());
    Ok(WorkerCaller {
        tenant,
        attempt: Arc::new(attempt),
    })
}

/// Counts the connection of a request as one of `attempt`; requests in tests come without one.
fn claim_seat(extensions: &Extensions, attempt: &Attempt) -> Result<(), CrowdedAttempt> {
    let seat = extensions.get::<Arc<ConnectionSeat>>();
    seat.map_or(Ok(()), |seat| seat.claim_for(attempt.id))
}

/// Whose request it is.
#[derive(Clone)]
pub(crate) struct WorkerCaller {
    /// The rows of its organisation, changed by its agent.
    pub(crate) tenant: Tenant,
    /// The attempt.
    pub(crate) attempt: Arc<Attempt>,
}

pub(crate) type Surface = State<WorkerSurface>;
pub(crate) type Caller = Extension<WorkerCaller>;
type Answer<T> = Result<Json<T>, ApiError>;

async fn report_started(
    Extension(caller): Caller,
    Reported(report): Reported<ReportStarted>,
) -> Result<StatusCode, ApiError> {
    intake::report_started(&caller.tenant, caller.attempt.id, report).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn report_events(
    State(s): Surface,
    Extension(caller): Caller,
    Reported(body): Reported<ReportEvents>,
) -> Answer<EventsAck> {
    let n_events = u32::try_from(body.events.len()).unwrap_or(u32::MAX);
    let (limits, traffic) = (&s.parts.limits, SandboxTraffic::Events);
    // An empty batch is a request, too.
    limits.count_traffic(caller.attempt.id, traffic, n_events.max(1))?;
    Ok(Json(
        intake::report_events(&caller.tenant, &caller.attempt, body).await?,
    ))
}

async fn report_heartbeat(
    Extension(caller): Caller,
    Reported(_): Reported<ReportHeartbeat>,
) -> Answer<HeartbeatAck> {
    Ok(Json(
        intake::report_heartbeat(&caller.tenant, caller.attempt.id).await?,
    ))
}

#[derive(Deserialize)]
struct InboxQuery {
    /// Seconds to wait for a message.
    #[serde(default)]
    wait: u64,
    /// Ids of messages that the agent has, with commas between.
    #[serde(default)]
    known: String,
}

async fn list_messages(
    State(s): Surface,
    Query(query): Query<InboxQuery>,
    Extension(caller): Caller,
) -> Answer<Vec<InboxMessage>> {
    let wait = Duration::from_secs(query.wait);
    let known = query.known.split(',').filter(|id| !id.is_empty());
    let known = known.take(KNOWN_MESSAGES_MAX).map(str::parse);
    let known: BTreeSet<MessageId> = known.collect::<Result<_, _>>().map_err(|_| {
        let says = "`known` holds ids of messages, with commas between";
        ApiError::invalid_value(says).with_field("known")
    })?;
    let (store, clock) = (&caller.tenant, &s.parts.clock);
    let found = intake::read_messages(store, clock, &caller.attempt, (wait, &known)).await?;
    Ok(Json(found))
}

async fn ack_messages(
    Extension(caller): Caller,
    Reported(body): Reported<AckMessages>,
) -> Result<StatusCode, ApiError> {
    intake::ack_messages(&caller.tenant, &caller.attempt, body).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn commit_turn(
    State(s): Surface,
    Extension(caller): Caller,
    Reported(body): Reported<CommitTurn>,
) -> Result<StatusCode, ApiError> {
    intake::commit_turn(
        &s.parts.intake.in_tenant(&caller.tenant),
        &caller.attempt,
        body,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn submit_items(
    State(s): Surface,
    Extension(caller): Caller,
    Reported(body): Reported<SubmitItems>,
) -> Answer<ItemsAck> {
    // The request is counted as one already.
    let n_more = u32::try_from(body.items.len()).unwrap_or(u32::MAX);
    let (limits, traffic) = (&s.parts.limits, SandboxTraffic::Reports);
    limits.count_traffic(caller.attempt.id, traffic, n_more.saturating_sub(1))?;
    Ok(Json(
        items::submit_items(
            &s.parts.gate.in_tenant(&caller.tenant),
            &caller.attempt,
            body,
        )
        .await?,
    ))
}

async fn finish_phase(Extension(caller): Caller) -> Answer<DoneAck> {
    Ok(Json(items::done(&caller.tenant, &caller.attempt).await?))
}

async fn report_discovery(
    State(s): Surface,
    Extension(caller): Caller,
    Reported(body): Reported<ReportDiscovery>,
) -> Answer<DiscoveryAck> {
    Ok(Json(
        discovery::report_discovery(&caller.tenant, &s.parts.gate.limits, &caller.attempt, body)
            .await?,
    ))
}

async fn complete_attempt(
    State(s): Surface,
    Extension(caller): Caller,
    Reported(body): Reported<ReportComplete>,
) -> Answer<CompleteAck> {
    match intake::complete_attempt(
        &s.parts.intake.in_tenant(&caller.tenant),
        &caller.attempt,
        body,
    )
    .await
    {
        Err(IntakeError::Superseded) => {
            intake::expect_live(&caller.tenant, &caller.attempt, "complete").await?;
            return Err(IntakeError::Superseded.into());
        }
        done => done?,
    }
    Ok(Json(CompleteAck {
        status: "accepted".to_owned(),
    }))
}

/// Hands a model request to the gateway on behalf of the token's attempt.
async fn call_model(State(s): Surface, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let dialect = caller_dialect(parts.uri.path(), &parts.headers);
    let answered = ask_gateway(&s, parts, body).await;
    response(answered.unwrap_or_else(|refusal| refusal.into_reply(dialect)))
}

async fn ask_gateway(
    s: &WorkerSurface,
    parts: Parts,
    body: Body,
) -> Result<GatewayReply, GatewayRefusal> {
    let store = s.parts.intake.store.store();
    let token = request_token(&parts.headers).ok_or_else(GatewayRefusal::unknown_token)?;
    let found = intake::authenticate_caller(store, token).await;
    let (tenant, attempt, mut caller) = found.map_err(|error| refuse_intake(&error))?;
    note_attempt(&attempt.id.to_string());
    let seated = claim_seat(&parts.extensions, &attempt);
    seated.map_err(|much| GatewayRefusal::too_many(much.to_string(), CROWDED_WAIT))?;
    let counted = s
        .parts
        .limits
        .count_traffic(attempt.id, SandboxTraffic::ModelRequests, 1);
    counted.map_err(|much| GatewayRefusal::too_many(much.to_string(), much.retry_after))?;
    let live = intake::expect_live(&tenant, &attempt, "model").await;
    live.map_err(|error| refuse_intake(&error))?;
    let gateway = s.gateway.as_ref().map_err(|why| {
        info!(why, "An agent asks, and there is no model");
        GatewayRefusal::no_model(why)
    })?;
    let clock = s.parts.clock.as_ref();
    let told = body
        .size_hint()
        .upper()
        .and_then(|n| usize::try_from(n).ok());
    let n_bytes = told.map_or(REQUEST_BYTES_MAX, |n| n.min(REQUEST_BYTES_MAX));
    let coming = gateway.reserve_body(Some(attempt.id), n_bytes)?;
    let read = axum::body::to_bytes(body, REQUEST_BYTES_MAX);
    let Ok(body) = with_deadline(clock, REQUEST_TIME_MAX, read).await else {
        return Err(GatewayRefusal::slow_request(REQUEST_TIME_MAX));
    };
    let body = body.map_err(|_| GatewayRefusal::too_large())?;
    drop(coming);
    // Our own loop alone asks ahead of its turns.
    let is_own_loop = caller.program.is_none_or(AgentProgram::is_native);
    caller.n_turns = told_turns(&parts.headers).filter(|_| is_own_loop);
    let request = GatewayRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
    };
    Ok(gateway.handle_request(&caller, request).await)
}

/// What keeps an attempt from the gateway. What is wrong inside the log tells alone, on the lines of the
/// request.
fn refuse_intake(error: &IntakeError) -> GatewayRefusal {
    match error {
        IntakeError::Unauthorized => GatewayRefusal::unknown_token(),
        IntakeError::Superseded => GatewayRefusal::superseded_attempt(),
        IntakeError::Store(store) if store.is_retryable() => {
            warn!(error = %error_chain(error), "A model call cannot be taken in for now");
            GatewayRefusal::unavailable_now("the platform cannot take the request in for now")
        }
        other => {
            error!(error = %error_chain(other), "A model call cannot be taken in");
            GatewayRefusal::internal_failure(
                "something failed on our side; the log has it as this request",
            )
        }
    }
}

fn response(reply: GatewayReply) -> Response {
    let body = match reply.body {
        GatewayBody::Full(bytes) => Body::from(bytes),
        GatewayBody::Events(events) => {
            Body::from_stream(events.map(Ok::<Bytes, std::convert::Infallible>))
        }
    };
    (reply.status, reply.headers, body).into_response()
}
