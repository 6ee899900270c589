//! Has a task wait for another one no longer.

use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_execution::commands::{DependencyEdit, change_dependencies};
use omoi_protocol::api::{EXAMPLE_PREREQUISITE, EXAMPLE_TASK};
use omoi_store::StoreError;

use super::{ProjectOfTask, TaskPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Which dependency.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TaskDependencyPath {
    /// Row id of the task that waits, or its reference `TSK-n`.
    #[param(
        example = json!(EXAMPLE_TASK),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Ss][Kk]-0*[1-9][0-9]{0,17})$"
    )]
    task_id: String,
    /// Row id of the task that it waits for, or its reference `TSK-n` in the same project.
    #[param(
        example = json!(EXAMPLE_PREREQUISITE),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Ss][Kk]-0*[1-9][0-9]{0,17})$"
    )]
    depends_on_task_id: String,
}

/// Has a task wait for another one no longer.
#[utoipa::path(
    delete, path = "/tasks/{task_id}/dependencies/{depends_on_task_id}", tag = "tasks",
    params(TaskDependencyPath, ProjectOfTask),
    responses((status = 204, description = "It waits for that one no longer."))
)]
pub(super) async fn remove_task_dependency(
    caller: Allowed<needs::TaskWrite>,
    ApiPath(path): ApiPath<TaskDependencyPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> Result<StatusCode, ApiError> {
    let TaskDependencyPath {
        task_id,
        depends_on_task_id,
    } = path;
    let task = caller.find_task(&TaskPath { task_id }, &of).await?;
    let named = std::slice::from_ref(&depends_on_task_id);
    let named = caller
        .find_prerequisites(task.project_id, named, "/depends_on")
        .await?;
    let before = named
        .into_iter()
        .next()
        .ok_or_else(|| StoreError::NotFound {
            what: "task",
            key: depends_on_task_id,
        })?;
    let edit = DependencyEdit::Remove(before);
    change_dependencies(caller.own_rows(), task.id, &edit).await?;
    Ok(StatusCode::NO_CONTENT)
}
