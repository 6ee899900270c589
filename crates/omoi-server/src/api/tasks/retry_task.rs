//! Tries a task again.

use axum::extract::State;

use omoi_planning::commands;
use omoi_protocol::api::TaskView;

use super::{ProjectOfTask, TaskPath, answered, task_after};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Tries a task again that failed, was cancelled or waits.
#[utoipa::path(
    post, path = "/tasks/{task_id}/retry", tag = "tasks", params(TaskPath, ProjectOfTask),
    responses((status = 200, description = "The task as it is then.", body = TaskView))
)]
pub(super) async fn retry_task(
    caller: Allowed<needs::TaskWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> Answer<TaskView> {
    let id = caller.find_task(&path, &of).await?.id;
    let act = commands::retry_task(&s.parts.policy.selection, caller.own_rows(), id);
    answered(&caller, &task_after(&caller, id, act).await?).await
}
