//! What a sandbox reaches: worker endpoints and the model gateway, bound to one attempt's token.

mod description;
mod model_calls;
mod reports;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, RawPathParams, Request, State};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Extension, Router};
use tracing::warn;
use utoipa::openapi::OpenApi;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::secret_mask::SecretMask;
use omoi_execution::intake::{self, AttemptIntake};
use omoi_execution::running_attempts::RunningAttempts;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_llm::gateway::ModelGateway;
use omoi_planning::plan_gate::PlanGate;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_store::Tenant;
use omoi_store::attempts::Attempt;

use crate::access_log::{RequestIds, RequestSurface, note_attempt, with_access_log};
use crate::api::policy::{RouteGuard, RoutePolicy};
use crate::api::router::ApiRouter;
use crate::api::sorted_text;
use crate::connection_seats::{ConnectionSeat, CrowdedAttempt};
use crate::egress::AttemptProxy;
use crate::error::ApiError;
use crate::report_body::{BUNDLE_BYTES_MAX, BodyBounds, REPORT_BYTES_MAX, ReportRooms, take_body};
use crate::request_token::request_token;
use crate::sandbox_limits::{SandboxTraffic, TrafficLimits};

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
    let bounded = |operations: ApiRouter<WorkerSurface>, bytes_max| {
        let bounds = BodyBounds {
            rooms: surface.parts.rooms.clone(),
            clock: surface.parts.clock.clone(),
            bytes_max,
        };
        let routes = operations.into_routes();
        routes.layer(middleware::from_fn_with_state(bounds, take_body))
    };
    let reports = bounded(reports::small_operations(), REPORT_BYTES_MAX)
        .merge(bounded(reports::large_operations(), BUNDLE_BYTES_MAX))
        // Bodies are bounded before they are read.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            surface.clone(),
            check_worker_token,
        ));
    let ids = surface.parts.request_ids.clone();
    let router = Router::new()
        .nest("/api/v1/sandboxes/{sandbox}", reports)
        .merge(model_calls::gateway_routes())
        .with_state(surface);
    with_access_log(router, RequestSurface::Worker, ids)
}

/// What describes the reports of workers: OpenAPI 3.1.
pub fn describe_worker_openapi() -> OpenApi {
    let reports = reports::small_operations().merge(reports::large_operations());
    reports.into_description()
}

/// That description as it is committed.
pub fn worker_openapi_text() -> String {
    sorted_text(&describe_worker_openapi())
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

/// A worker route answers the attempt that [`check_worker_token`] let in; it is the first argument of its handler.
impl RouteGuard for Extension<WorkerCaller> {
    const POLICY: RoutePolicy = RoutePolicy::Attempt;
}

pub(crate) type Surface = State<WorkerSurface>;
pub(crate) type Caller = Extension<WorkerCaller>;
