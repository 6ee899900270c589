//! Cancels a task.

use omoi_execution::commands;
use omoi_protocol::api::TaskView;

use super::{ProjectOfTask, TaskPath, answered, task_after};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Cancels a task; its agent is stopped.
#[utoipa::path(
    post, path = "/tasks/{task_id}/cancel", tag = "tasks", params(TaskPath, ProjectOfTask),
    responses((status = 200, description = "The task as it is then.", body = TaskView))
)]
pub(super) async fn cancel_task(
    caller: Allowed<needs::TaskCancel>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> Answer<TaskView> {
    let id = caller.find_task(&path, &of).await?.id;
    let act = commands::cancel_task(caller.own_rows(), id);
    answered(&caller, &task_after(&caller, id, act).await?).await
}
