//! What load balancers ask without a credential, and metrics collectors with one: of every process, of which one that answers no
//! people listens for them at a port of loopback.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};

use omoi_domain::id::OrgId;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::running_attempts::RunningAttempts;
use omoi_protocol::api::{HealthReport, HealthStatus, ProgramReport};
use omoi_runtime::reconcile::StatusReader;
use omoi_store::{Store, StoreError, Tenant, events, organisations, specs, tasks};

use crate::access_log::{ApiDoor, RequestIds, RequestSurface, with_access_log};
use crate::answer_headers::with_answer_headers;
use crate::api::Anyone;
use crate::api::router::{ApiRouter, operation};
use crate::error::{ApiError, InternalCause};
use crate::request_token::{is_same_token, request_token};
use crate::site::Site;
use crate::site_checks::{SiteDoor, check_site};

/// What the probes read.
#[derive(Clone)]
pub struct ProbeSurface {
    /// Rows.
    pub store: Tenant,
    /// Attempts of this process.
    pub running: RunningAttempts,
    /// The reconcilers of this process.
    pub reconcilers: Vec<StatusReader>,
    /// The token of the data folder, which metrics are told for.
    pub token: String,
    /// Names each request in the log.
    pub request_ids: RequestIds,
    /// How browsers know this server.
    pub site: Site,
}

/// The operations that answer without a credential, in every role.
pub(crate) fn all_operations() -> ApiRouter<ProbeSurface> {
    ApiRouter::new()
        .add(operation!(get_root))
        .add(operation!(get_health))
        .add(operation!(get_readiness))
}

/// The routes of the probes.
pub fn router(probes: ProbeSurface, door: ApiDoor) -> Router {
    let ids = probes.request_ids.clone();
    let site = SiteDoor {
        site: probes.site.clone(),
        door,
    };
    let operations = all_operations().into_routes();
    let router = operations
        .route(
            "/ready",
            get(|| async { Redirect::permanent("/health/ready") }),
        )
        .route("/metrics", get(metrics))
        .with_state(probes)
        .layer(middleware::from_fn_with_state(site, check_site))
        .layer(middleware::map_response(with_answer_headers));
    with_access_log(router, RequestSurface::Probe, ids)
}

/// Tells what answers here, and its version.
#[utoipa::path(
    get, path = "/", tag = "system",
    responses((status = 200, description = "The program.", body = ProgramReport))
)]
async fn get_root(_: Anyone) -> Json<ProgramReport> {
    Json(ProgramReport {
        name: "OmoiOS".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Tells that the process answers, and its version.
#[utoipa::path(
    get, path = "/health", tag = "system",
    responses((status = 200, description = "It answers.", body = HealthReport))
)]
async fn get_health(_: Anyone) -> Json<HealthReport> {
    Json(HealthReport {
        status: HealthStatus::Ok,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Tells whether the process can do its work: whether its database answers.
#[utoipa::path(
    get, path = "/health/ready", tag = "system",
    responses((status = 200, description = "It can.", body = HealthReport))
)]
async fn get_readiness(
    _: Anyone,
    State(probes): State<ProbeSurface>,
) -> Result<Json<HealthReport>, ApiError> {
    let head = probes.store.read(async |tx| events::head(tx).await).await;
    // Strangers ask: what the database says is for the log.
    head.map_err(|error| ApiError::not_ready(&error, "the database does not answer for now"))?;
    Ok(get_health(Anyone).await)
}

/// Tells a prober `text`, and the log the causes of `error`.
fn unavailable(error: &StoreError, text: String) -> Response {
    let wait = [(RETRY_AFTER, "1")];
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, wait, text).into_response();
    let cause = InternalCause::of_error(error);
    response.extensions_mut().insert(cause);
    response
}

async fn metrics(State(probes): State<ProbeSurface>, headers: HeaderMap) -> Response {
    if !request_token(&headers).is_some_and(|given| is_same_token(given, &probes.token)) {
        let says = "# the token is missing or not valid\n";
        return (StatusCode::UNAUTHORIZED, says).into_response();
    }
    match rendered(&probes).await {
        Ok(text) => text.into_response(),
        Err(error) => unavailable(&error, format!("# {error}\n")),
    }
}

/// What the organisations have together.
pub(crate) struct DeploymentCounts {
    pub(crate) n_organizations: usize,
    pub(crate) n_events: i64,
    pub(crate) tasks: BTreeMap<String, i64>,
    specs: BTreeMap<String, i64>,
}

/// Counts what the organisations have together.
pub(crate) async fn count_everywhere(store: &Store) -> Result<DeploymentCounts, StoreError> {
    let system = store.system();
    let heads = system.read(async |tx| organisations::event_heads(tx).await);
    let heads: Vec<(OrgId, i64)> = heads.await?;
    let mut counts = DeploymentCounts {
        n_organizations: heads.len(),
        n_events: heads.iter().map(|(_, head)| head).sum(),
        tasks: BTreeMap::new(),
        specs: BTreeMap::new(),
    };
    // Where nothing ever happened there is nothing to count.
    for (org, _) in heads.into_iter().filter(|(_, head)| *head > 0) {
        let tenant = store.tenant(org);
        let counted = tenant.read(async |tx| {
            let tasks = tasks::count_by_status(tx).await?;
            Ok::<_, StoreError>((tasks, specs::count_by_status(tx).await?))
        });
        let (tasks, specs) = counted.await?;
        for (all, own) in [(&mut counts.tasks, tasks), (&mut counts.specs, specs)] {
            for (status, n) in own {
                *all.entry(status).or_default() += n;
            }
        }
    }
    Ok(counts)
}

async fn rendered(probes: &ProbeSurface) -> Result<String, StoreError> {
    let counts = count_everywhere(probes.store.store()).await?;
    let mut out = String::new();
    let _ = writeln!(out, "# TYPE omoi_events_total counter");
    let _ = writeln!(out, "omoi_events_total {}", counts.n_events);
    let _ = writeln!(out, "# TYPE omoi_tasks gauge");
    for status in TaskStatus::ALL {
        let n = counts.tasks.get(status.as_str()).copied().unwrap_or(0);
        let _ = writeln!(out, "omoi_tasks{{status=\"{status}\"}} {n}");
    }
    let _ = writeln!(out, "# TYPE omoi_specs gauge");
    for status in SpecStatus::ALL {
        let n = counts.specs.get(status.as_str()).copied().unwrap_or(0);
        let _ = writeln!(out, "omoi_specs{{status=\"{status}\"}} {n}");
    }
    let _ = writeln!(out, "# TYPE omoi_sandboxes_running gauge");
    let _ = writeln!(
        out,
        "omoi_sandboxes_running {}",
        probes.running.attempt_ids().len()
    );
    let _ = writeln!(out, "# TYPE omoi_reconciler_ticks_total counter");
    for reader in &probes.reconcilers {
        let status = reader.read();
        let _ = writeln!(
            out,
            "omoi_reconciler_ticks_total{{name=\"{}\"}} {}",
            status.name, status.ticks
        );
        let _ = writeln!(
            out,
            "omoi_reconciler_failures_total{{name=\"{}\"}} {}",
            status.name, status.failures
        );
        let _ = writeln!(
            out,
            "omoi_reconciler_failing_entities{{name=\"{}\"}} {}",
            status.name,
            status.entities.len()
        );
    }
    Ok(out)
}
