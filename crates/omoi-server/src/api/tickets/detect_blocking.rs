//! Looks for stalled tickets.

use std::time::Duration;

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{HumanRef, ProjectId};
use omoi_execution::commands::{self, StallSearch, StalledTicket};
use omoi_protocol::api::{DetectedBlocker, DetectedBlocking};

use crate::api::Answer;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Which tickets.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockingQuery {
    /// Those of this project; of any of them, when it is repeated.
    #[serde(default)]
    project_id: Vec<ProjectId>,
}

/// Looks for tickets that agents work on and of which nothing has gone on for half an hour, holds them up with what is the
/// matter and a task that looks for the cause, and lets those go on again whose cause is gone. The platform does so every five
/// minutes.
#[utoipa::path(
    post, path = "/tickets/detect-blocking", tag = "tickets", params(BlockingQuery),
    responses((status = 200, description = "What was found.", body = DetectedBlocking))
)]
pub(super) async fn detect_blocking(
    caller: Allowed<needs::TicketWrite>,
    ApiQuery(query): ApiQuery<BlockingQuery>,
) -> Answer<DetectedBlocking> {
    let projects = caller.listed_projects(&query.project_id);
    let search = StallSearch {
        projects,
        watched_for: Duration::MAX,
    };
    let looked = commands::detect_blocking(caller.own_rows(), &search);
    let found = caller.act_once(looked).await?.unwrap_or_default();
    let blocked = found.blocked.into_iter().map(detected_blocker);
    Ok(Json(DetectedBlocking {
        n_examined: found.n_examined as u64,
        blocked: blocked.collect(),
        released: found.released.iter().map(|ticket| ticket.id).collect(),
    }))
}

fn detected_blocker(found: StalledTicket) -> DetectedBlocker {
    let StalledTicket { ticket, remedy } = found;
    DetectedBlocker {
        ticket_id: ticket.id,
        ticket_ref: HumanRef::ticket(ticket.number).to_string(),
        blocker_type: ticket.blocked_reason,
        detail: ticket.blocked_detail,
        remedy_task_id: remedy.as_ref().map(|task| task.id),
        remedy_task_ref: remedy.map(|task| HumanRef::task(task.number).to_string()),
    }
}
