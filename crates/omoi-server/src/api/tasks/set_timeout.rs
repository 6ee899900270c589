//! Gives a task more time, or less.

use axum::Json;
use axum::extract::State;

use omoi_execution::commands;
use omoi_protocol::api::{SetTaskTimeout, TaskTimeout};

use super::get_timeout_status::timeout_of;
use super::{ProjectOfTask, TaskPath, task_after};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Seconds that a person may give to one attempt.
const SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;

/// Sets the wall time of one attempt at a task, from the next attempt on.
#[utoipa::path(
    post, path = "/tasks/{task_id}/set-timeout", tag = "tasks", params(TaskPath, ProjectOfTask),
    request_body = SetTaskTimeout,
    responses((status = 200, description = "The time that attempts have then.", body = TaskTimeout))
)]
pub(super) async fn set_task_timeout(
    caller: Allowed<needs::TaskWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
    ApiBody(body): ApiBody<SetTaskTimeout>,
) -> Answer<TaskTimeout> {
    if !SECONDS.contains(&body.timeout_seconds) {
        let says = "an attempt has 60 to 86400 seconds";
        return Err(ApiError::invalid_value(says).with_field("/timeout_seconds"));
    }
    let id = caller.find_task(&path, &of).await?.id;
    let act = commands::set_task_timeout(caller.own_rows(), id, body.timeout_seconds);
    let task = task_after(&caller, id, act).await?;
    let limits = s.parts.policy.limits;
    let read = caller
        .own_rows()
        .read(async |tx| timeout_of(tx, limits, task).await);
    Ok(Json(read.await?))
}
