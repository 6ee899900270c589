//! Shows a task.

use omoi_protocol::api::TaskDetail;

use super::{ProjectOfTask, TaskPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::task_view::task_detail;
use crate::api::version::{VersionedAnswer, VersionedJson};

/// Shows a task with its attempts and receipts.
#[utoipa::path(
    get, path = "/tasks/{task_id}", tag = "tasks", params(TaskPath, ProjectOfTask),
    responses((
        status = 200, description = "The task.", body = TaskDetail,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn get_task(
    caller: Allowed<needs::TaskRead>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> VersionedAnswer<TaskDetail> {
    let task = caller.find_task(&path, &of).await?;
    let detail = caller
        .own_rows()
        .read(async |tx| task_detail(tx, caller.cost_sight(), &task).await);
    Ok(VersionedJson {
        version: task.state_version,
        body: detail.await?,
    })
}
