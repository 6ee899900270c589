//! Lists tasks whose time is over.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_execution::commands::overdue_attempts;
use omoi_protocol::api::{ListPage, TaskTimeout};

use super::get_timeout_status::timeout_of;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TimedOutQuery {
    /// Those of this project.
    project_id: Option<ProjectId>,
}

/// Lists the tasks whose attempt has had its time and did not end by itself.
#[utoipa::path(
    get, path = "/tasks/timed-out", tag = "tasks", params(TimedOutQuery),
    responses((status = 200, description = "The tasks.", body = ListPage<TaskTimeout>))
)]
pub(super) async fn list_timed_out_tasks(
    caller: Allowed<needs::TaskRead>,
    State(s): Surface,
    ApiQuery(query): ApiQuery<TimedOutQuery>,
) -> Answer<ListPage<TaskTimeout>> {
    let limits = s.parts.policy.limits;
    let read = caller.own_rows().read(async |tx| {
        let mut items = Vec::new();
        for timed in overdue_attempts(tx, limits).await? {
            if query
                .project_id
                .is_none_or(|only| only == timed.task.project_id)
            {
                items.push(timeout_of(tx, limits, timed.task).await?);
            }
        }
        Ok::<_, ApiError>(items)
    });
    Ok(Json(ListPage::whole_list(read.await?)))
}
