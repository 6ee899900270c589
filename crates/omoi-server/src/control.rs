//! What the command line asks of the process that owns the rows.

mod egress;
mod events;
mod find;
mod log;
mod parts;
mod setup;
mod spec_view;
mod specs;
mod task_view;
mod tasks;
mod trust;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};

use omoi_domain::actor::Actor;
use omoi_domain::config::Config;
use omoi_domain::id::UserId;
use omoi_execution::disk_room::DiskShortage;
use omoi_git::toolchain::HostEnvironment;
use omoi_planning::repository_reader::RepositoryReader;
use omoi_protocol::api::{DiskStall, FailingEntity, LoopStatus, ProcessStatus};
use omoi_runtime::reconcile::StatusReader;
use omoi_store::Tenant;

use crate::access_log::{RequestSurface, note_caller, with_access_log};
use crate::error::ApiError;
use crate::request_token::{is_same_token, request_token};

pub use parts::ControlParts;

/// Bytes of one request: the longest idea, as JSON.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What the control surface stands on.
#[derive(Clone)]
pub struct ControlSurface {
    /// What its answers are made of.
    pub parts: ControlParts,
    /// The machine, for surveys.
    pub host: HostEnvironment,
    /// The configuration of this process.
    pub config: Config,
    /// The token of the data folder.
    pub token: String,
    /// What of `GET /status` stays the same.
    pub status: ProcessStatus,
    /// The reconcilers of this process.
    pub reconcilers: Vec<StatusReader>,
}

/// The routes of the control surface.
pub fn router(surface: ControlSurface) -> Router {
    let guarded = Router::new()
        .route("/status", get(status))
        .route("/specs", get(specs::list_specs).post(specs::create_spec))
        .route("/specs/{spec}", get(specs::get_spec))
        .route("/specs/{spec}/detail", get(specs::get_spec_detail))
        .route("/specs/{spec}/summary", get(specs::get_spec_summary))
        .route("/specs/{spec}/export", get(specs::export_spec))
        .route("/specs/{spec}/trace", get(specs::trace_spec))
        .route("/specs/{spec}/egress", get(egress::list_egress))
        .route("/egress", post(egress::allow_egress))
        .route("/specs/{spec}/approve", post(specs::approve_spec))
        .route("/specs/{spec}/resume", post(specs::resume_spec))
        .route("/specs/{spec}/deliver", post(specs::deliver_spec))
        .route("/specs/{spec}/cancel", post(specs::cancel_spec))
        .route("/trust", get(trust::get_trust).post(trust::keep_trust))
        .route("/setup", post(setup::set_up))
        .route("/tasks", get(tasks::list_tasks))
        .route("/tasks/{task}", get(tasks::get_task))
        .route("/tasks/{task}/detail", get(tasks::get_task_detail))
        .route("/tasks/{task}/retry", post(tasks::retry_task))
        .route("/tasks/{task}/cancel", post(tasks::cancel_task))
        .route("/tasks/{task}/messages", post(tasks::steer_task))
        .route("/tasks/{task}/log", get(log::log_task))
        .route("/events", get(events::stream_events))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(surface.clone(), guard));
    let ids = surface.parts.request_ids.clone();
    let router = Router::new().nest("/api/v1", guarded).with_state(surface);
    with_access_log(router, RequestSurface::Control, ids)
}

impl ControlSurface {
    /// The scope of who asks: whoever holds the token of the data folder.
    fn tenant(&self) -> Tenant {
        self.parts.store.acting_as(Actor::User(UserId::LOCAL))
    }

    /// Reads repositories for who asks.
    fn repositories(&self) -> RepositoryReader<'_> {
        RepositoryReader {
            access: &self.parts.repositories,
            host: &self.host,
            config: &self.config,
        }
    }
}

type Surface = State<ControlSurface>;
type Answer<T> = Result<Json<T>, ApiError>;

async fn guard(
    State(surface): Surface,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match request_token(request.headers()) {
        Some(given) if is_same_token(given, &surface.token) => {
            note_caller("owner");
            Ok(next.run(request).await)
        }
        _ => Err(ApiError::no_credential()),
    }
}

async fn status(State(surface): Surface) -> Json<ProcessStatus> {
    Json(ProcessStatus {
        loops: surface.reconcilers.iter().map(loop_status).collect(),
        stall: disk_stall(&surface.parts),
        ..surface.status
    })
}

fn disk_stall(parts: &ControlParts) -> Option<DiskStall> {
    let for_ms = |since| parts.clock.now().since(since).as_millis() as u64;
    if let Some(stalled) = parts.store.store().stalled() {
        return Some(DiskStall {
            ms: for_ms(stalled.since),
            reason: "the disk of the database is full or takes no writes".to_owned(),
        });
    }
    let DiskShortage { since, low } = parts.disk.disk_shortage()?;
    let mib = |bytes: u64| bytes >> 20;
    // What runs is let finish, however long it takes.
    let ms = match parts.running.has_sandboxes() {
        true => 0,
        false => for_ms(since),
    };
    Some(DiskStall {
        ms,
        reason: format!(
            "the disk below `{}` has {} MiB free, and work begins with {} MiB",
            parts.disk.folder.display(),
            mib(low.free_bytes),
            mib(low.floor_bytes)
        ),
    })
}

fn loop_status(reader: &StatusReader) -> LoopStatus {
    let status = reader.read();
    let entities = status.entities.into_iter().map(|failure| FailingEntity {
        entity: failure.entity,
        failing: failure.failing,
        retry_at: failure.retry_at.into(),
        error: failure.error,
    });
    LoopStatus {
        name: status.name.to_owned(),
        failing: status.failing,
        error: status.last_error.filter(|_| status.failing > 0),
        entities: entities.collect(),
    }
}
