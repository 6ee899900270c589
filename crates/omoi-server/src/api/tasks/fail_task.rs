//! Fails a task.

use omoi_execution::commands;
use omoi_protocol::api::{FailTask, TaskView};

use super::{ProjectOfTask, TaskPath, answered, task_after};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath, expect_chars};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Fails a task for good, and stops its agent; what waits for it waits for a person from then on.
#[utoipa::path(
    post, path = "/tasks/{task_id}/fail", tag = "tasks", params(TaskPath, ProjectOfTask),
    request_body = FailTask,
    responses((status = 200, description = "The task as it is then.", body = TaskView))
)]
pub(super) async fn fail_task(
    caller: Allowed<needs::TaskWrite>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
    ApiBody(body): ApiBody<FailTask>,
) -> Answer<TaskView> {
    expect_chars("/reason", &body.reason, 2_000)?;
    let id = caller.find_task(&path, &of).await?.id;
    let act = commands::fail_task(caller.own_rows(), id, &body.reason);
    answered(&caller, &task_after(&caller, id, act).await?).await
}
