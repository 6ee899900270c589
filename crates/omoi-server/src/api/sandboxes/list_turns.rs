//! Lists the turns of the agent of a sandbox, oldest first.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_protocol::api::{ListPage, TurnView};
use omoi_store::attempts;

use super::SandboxPath;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Turns of one answer where nothing else is asked for.
const LIMIT_USUAL: usize = 50;
/// Turns of one answer at most.
const LIMIT_MAX: usize = 1_000;

/// Which turns.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TurnsQuery {
    /// Those from this `n` on; 0 is the beginning.
    #[serde(default)]
    from: u32,
    /// Turns of the answer at most; 50 where it is absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Lists the turns of the agent of a sandbox, oldest first.
#[utoipa::path(
    get, path = "/sandboxes/{sandbox_id}/trajectory", tag = "sandboxes", params(SandboxPath, TurnsQuery),
    responses((status = 200, description = "Turns from the position that was named.", body = ListPage<TurnView>))
)]
pub(super) async fn list_sandbox_turns(
    caller: Allowed<needs::SandboxRead>,
    ApiPath(path): ApiPath<SandboxPath>,
    ApiQuery(query): ApiQuery<TurnsQuery>,
) -> Answer<ListPage<TurnView>> {
    let limit = query.limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let says = format!("`limit` is 1 to {LIMIT_MAX}");
        return Err(ApiError::invalid_value(says).with_field("limit"));
    }
    let read = caller.own_rows().read(async |tx| {
        let attempt = path.find_attempt(tx).await?;
        attempts::turns(tx, attempt.id).await
    });
    let turns = read.await?.into_iter().filter(|turn| turn.n >= query.from);
    let items = turns.take(limit).map(|turn| TurnView {
        n: turn.n,
        kind: turn.kind,
        response: turn.response.0,
        tool_results: turn.tool_results.0,
        created_at: turn.created_at.into(),
    });
    Ok(Json(ListPage::whole_list(items.collect())))
}
