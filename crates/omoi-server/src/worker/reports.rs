//! What workers report: a handler for each, with its description.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::MessageId;
use omoi_execution::intake::{self, IntakeError};
use omoi_execution::{discovery, results, threads};
use omoi_planning::items;
use omoi_protocol::worker::{
    AckMessages, CommitTurn, CompleteAck, DiscoveryAck, DoneAck, EventsAck, HeartbeatAck,
    InboxMessage, ItemsAck, KNOWN_MESSAGES_MAX, ReportComplete, ReportDiscovery, ReportEvents,
    ReportHeartbeat, ReportResult, ReportStarted, ResultAck, SubmitItems, ThreadAnswer, ThreadCall,
};

use super::description::describe_worker_api;
use super::{Caller, Surface, WorkerSurface};
use crate::api::router::{ApiRouter, operation};
use crate::egress;
use crate::error::ApiError;
use crate::reported::Reported;
use crate::sandbox_limits::SandboxTraffic;

type Answer<T> = Result<Json<T>, ApiError>;

/// Reports without a bundle.
pub(super) fn small_operations() -> ApiRouter<WorkerSurface> {
    ApiRouter::described_by(describe_worker_api)
        .add(operation!(report_started))
        .add(operation!(report_events, Refused))
        .add(operation!(report_heartbeat))
        .add(operation!(list_messages, ValidationFailed))
        .add(operation!(ack_messages))
        .add(operation!(submit_items, Refused))
        .add(operation!(finish_phase, Refused))
        .add(operation!(report_discovery, Refused))
        .add(operation!(ask_threads, Refused))
        .add(operation!(report_result, Refused))
        .add(operation!(egress::open_egress, NoEgress, ValidationFailed))
}

/// Reports that may bring a bundle.
pub(super) fn large_operations() -> ApiRouter<WorkerSurface> {
    ApiRouter::described_by(describe_worker_api)
        .add(operation!(commit_turn, Refused, BundleRefused, Conflict))
        .add(operation!(complete_attempt, Refused, BundleRefused))
}

/// The worker is up.
#[utoipa::path(
    post, path = "/started", tag = "reports", request_body = ReportStarted,
    responses((status = 204, description = "Noted."))
)]
pub(super) async fn report_started(
    Extension(caller): Caller,
    Reported(report): Reported<ReportStarted>,
) -> Result<StatusCode, ApiError> {
    intake::report_started(&caller.tenant, caller.attempt.id, report).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stores events of an agent, each once.
#[utoipa::path(
    post, path = "/events", tag = "reports", request_body = ReportEvents,
    responses((status = 200, description = "How many were new.", body = EventsAck))
)]
pub(super) async fn report_events(
    Extension(caller): Caller,
    State(s): Surface,
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

/// Says that the worker lives, and hears whether it is to stop.
#[utoipa::path(
    post, path = "/heartbeat", tag = "reports", request_body = ReportHeartbeat,
    responses((status = 200, description = "What it is to do.", body = HeartbeatAck))
)]
pub(super) async fn report_heartbeat(
    Extension(caller): Caller,
    Reported(_sign): Reported<ReportHeartbeat>,
) -> Answer<HeartbeatAck> {
    Ok(Json(
        intake::report_heartbeat(&caller.tenant, caller.attempt.id).await?,
    ))
}

/// What a worker asks for when it looks for messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InboxQuery {
    /// Seconds to wait for a message.
    #[serde(default)]
    #[param(required = false, example = 25)]
    wait: u64,
    /// Ids of messages that the agent has, with commas between.
    #[serde(default)]
    #[param(required = false)]
    known: String,
}

/// Lists what the agent is to be told, and waits for it a while.
#[utoipa::path(
    get, path = "/messages", tag = "reports", params(InboxQuery),
    responses((status = 200, description = "Messages that are not acknowledged, oldest first.", body = Vec<InboxMessage>))
)]
pub(super) async fn list_messages(
    Extension(caller): Caller,
    State(s): Surface,
    Query(query): Query<InboxQuery>,
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

/// Says which messages reached the agent.
#[utoipa::path(
    post, path = "/messages/ack", tag = "reports", request_body = AckMessages,
    responses((status = 204, description = "Noted."))
)]
pub(super) async fn ack_messages(
    Extension(caller): Caller,
    Reported(body): Reported<AckMessages>,
) -> Result<StatusCode, ApiError> {
    intake::ack_messages(&caller.tenant, &caller.attempt, body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stores a finished turn, with a snapshot of the work.
#[utoipa::path(
    post, path = "/turns", tag = "reports", request_body = CommitTurn,
    responses((status = 204, description = "Stored."))
)]
pub(super) async fn commit_turn(
    Extension(caller): Caller,
    State(s): Surface,
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

/// Takes items of the output of a phase.
#[utoipa::path(
    post, path = "/items", tag = "reports", request_body = SubmitItems,
    responses((status = 200, description = "What became of each.", body = ItemsAck))
)]
pub(super) async fn submit_items(
    Extension(caller): Caller,
    State(s): Surface,
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

/// Says that the output of a phase is complete.
#[utoipa::path(
    post, path = "/done", tag = "reports",
    responses((status = 200, description = "It is.", body = DoneAck))
)]
pub(super) async fn finish_phase(Extension(caller): Caller) -> Answer<DoneAck> {
    Ok(Json(items::done(&caller.tenant, &caller.attempt).await?))
}

/// Reports work that an agent found on its way.
#[utoipa::path(
    post, path = "/discoveries", tag = "reports", request_body = ReportDiscovery,
    responses((status = 200, description = "What became of it.", body = DiscoveryAck))
)]
pub(super) async fn report_discovery(
    Extension(caller): Caller,
    State(s): Surface,
    Reported(body): Reported<ReportDiscovery>,
) -> Answer<DiscoveryAck> {
    Ok(Json(
        discovery::report_discovery(&caller.tenant, &s.parts.gate.limits, &caller.attempt, body)
            .await?,
    ))
}

/// Lists, opens and reads threads of the project, and writes in them.
#[utoipa::path(
    post, path = "/threads", tag = "reports", request_body = ThreadCall,
    responses((status = 200, description = "What the threads have.", body = ThreadAnswer))
)]
pub(super) async fn ask_threads(
    Extension(caller): Caller,
    Reported(call): Reported<ThreadCall>,
) -> Answer<ThreadAnswer> {
    let answered = threads::answer_thread_call(&caller.tenant, &caller.attempt, call);
    Ok(Json(answered.await?))
}

/// Takes what came of the task, or of its ticket.
#[utoipa::path(
    post, path = "/results", tag = "reports", request_body = ReportResult,
    responses((status = 200, description = "It is kept.", body = ResultAck))
)]
pub(super) async fn report_result(
    Extension(caller): Caller,
    Reported(report): Reported<ReportResult>,
) -> Answer<ResultAck> {
    let taken = results::report_result(&caller.tenant, &caller.attempt, report);
    Ok(Json(taken.await?))
}

/// Says that the attempt is over, with its last commits.
#[utoipa::path(
    post, path = "/complete", tag = "reports", request_body = ReportComplete,
    responses((status = 200, description = "Its end is applied.", body = CompleteAck))
)]
pub(super) async fn complete_attempt(
    Extension(caller): Caller,
    State(s): Surface,
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
