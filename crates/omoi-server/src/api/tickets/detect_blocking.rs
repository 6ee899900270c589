//! Looks for stalled tickets.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{HumanRef, ProjectId};
use omoi_execution::commands;
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

/// Looks for tickets that agents work on and of which nothing has gone on for half an hour, and holds them up with what is
/// the matter.
#[utoipa::path(
    post, path = "/tickets/detect-blocking", tag = "tickets", params(BlockingQuery),
    responses((status = 200, description = "What was found.", body = DetectedBlocking))
)]
pub(super) async fn detect_blocking(
    caller: Allowed<needs::TicketWrite>,
    ApiQuery(query): ApiQuery<BlockingQuery>,
) -> Answer<DetectedBlocking> {
    let projects = caller.listed_projects(&query.project_id);
    let looked = commands::detect_blocking(caller.own_rows(), &projects);
    let found = caller.act_once(looked).await?.unwrap_or_default();
    let blocked = found.blocked.into_iter().map(|ticket| DetectedBlocker {
        ticket_id: ticket.id,
        ticket_ref: HumanRef::ticket(ticket.number).to_string(),
        blocker_type: ticket.blocked_reason,
        detail: ticket.blocked_detail,
    });
    Ok(Json(DetectedBlocking {
        n_examined: found.n_examined as u64,
        blocked: blocked.collect(),
    }))
}
