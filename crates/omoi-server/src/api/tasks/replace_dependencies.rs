//! Has a task wait for these tasks and no others.

use axum::Json;

use omoi_execution::commands::{DependencyEdit, change_dependencies};
use omoi_protocol::api::{DependencyList, TaskPrerequisites};

use super::get_dependencies::dependencies_of;
use super::{ProjectOfTask, TaskPath, task_after};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Has a task wait for these tasks and no others; all are of one spec, and none may come to wait for itself.
#[utoipa::path(
    put, path = "/tasks/{task_id}/dependencies", tag = "tasks", params(TaskPath, ProjectOfTask),
    request_body = DependencyList,
    responses((status = 200, description = "What it waits for then.", body = TaskPrerequisites))
)]
pub(super) async fn replace_task_dependencies(
    caller: Allowed<needs::TaskWrite>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
    ApiBody(body): ApiBody<DependencyList>,
) -> Answer<TaskPrerequisites> {
    let task = caller.find_task(&path, &of).await?;
    let named = caller
        .find_prerequisites(task.project_id, &body.depends_on, "/depends_on")
        .await?;
    let edit = DependencyEdit::Replace(named);
    let act = change_dependencies(caller.own_rows(), task.id, &edit);
    let task = task_after(&caller, task.id, act).await?;
    let read = caller
        .own_rows()
        .read(async |tx| dependencies_of(tx, &task).await);
    Ok(Json(read.await?))
}
