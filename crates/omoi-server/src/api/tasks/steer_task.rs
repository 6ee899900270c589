//! Writes to the agent of a task.

use axum::http::StatusCode;

use omoi_execution::commands;
use omoi_protocol::api::SteerTask;

use super::{ProjectOfTask, TaskPath};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Writes to the agent of a task, or orders it to stop; it reads the message at its next turn.
#[utoipa::path(
    post, path = "/tasks/{task_id}/messages", tag = "tasks", params(TaskPath, ProjectOfTask),
    request_body = SteerTask, responses((status = 202, description = "The message is stored."))
)]
pub(super) async fn steer_task(
    caller: Allowed<needs::AgentMessage>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
    ApiBody(body): ApiBody<SteerTask>,
) -> Result<StatusCode, ApiError> {
    let id = caller.find_task(&path, &of).await?.id;
    let act = commands::steer_task(caller.own_rows(), id, &body);
    caller.act_once(act).await?;
    Ok(StatusCode::ACCEPTED)
}
