//! Lists what the agent of a sandbox reported, oldest first.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_protocol::api::{ListPage, SandboxEventView};
use omoi_store::attempts;

use super::SandboxPath;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Events of one answer where nothing else is asked for.
const LIMIT_USUAL: i64 = 50;
/// Events of one answer at most.
const LIMIT_MAX: i64 = 500;

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SandboxEventsQuery {
    /// Those after this `seq`; 0 is the beginning.
    #[serde(default)]
    after: i64,
    /// Events of the answer at most; 50 where it is absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
}

/// Lists what the agent of a sandbox reported, oldest first.
#[utoipa::path(
    get, path = "/sandboxes/{sandbox_id}/events", tag = "sandboxes", params(SandboxPath, SandboxEventsQuery),
    responses((status = 200, description = "Events after the position that was named.", body = ListPage<SandboxEventView>))
)]
pub(super) async fn list_sandbox_events(
    caller: Allowed<needs::SandboxRead>,
    ApiPath(path): ApiPath<SandboxPath>,
    ApiQuery(query): ApiQuery<SandboxEventsQuery>,
) -> Answer<ListPage<SandboxEventView>> {
    let limit = query.limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let says = format!("`limit` is 1 to {LIMIT_MAX}");
        return Err(ApiError::invalid_value(says).with_field("limit"));
    }
    let read = caller.own_rows().read(async |tx| {
        let attempt = path.find_attempt(tx).await?;
        attempts::events(tx, attempt.id, query.after, limit).await
    });
    let items = read.await?.into_iter().map(|event| SandboxEventView {
        seq: event.seq,
        event_type: event.event_type.to_string(),
        event_data: event.data.0,
        created_at: event.created_at.into(),
    });
    Ok(Json(ListPage::whole_list(items.collect())))
}
