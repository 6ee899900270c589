//! Shows a task.

use axum::Json;

use omoi_protocol::api::TaskDetail;

use super::{ProjectOfTask, TaskPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::task_view::task_detail;

/// Shows a task with its attempts and receipts.
#[utoipa::path(
    get, path = "/tasks/{task_id}", tag = "tasks", params(TaskPath, ProjectOfTask),
    responses((status = 200, description = "The task.", body = TaskDetail))
)]
pub(super) async fn get_task(
    caller: Allowed<needs::TaskRead>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> Answer<TaskDetail> {
    let task = caller.find_task(&path, &of).await?;
    let detail = caller
        .own_rows()
        .read(async |tx| task_detail(tx, &task).await);
    Ok(Json(detail.await?))
}
