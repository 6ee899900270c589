//! Operations on tasks.

mod cancel_task;
mod get_task;
mod list_tasks;
mod log_task;
mod retry_task;
mod steer_task;

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_protocol::api::{EXAMPLE_TASK, TaskView};
use omoi_store::tasks::Task;

use super::caller::ApiCaller;
use super::find::{self, AskedReference};
use super::router::{ApiRouter, operation};
use super::task_view::task_view;
use super::{Answer, ApiSurface};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            list_tasks::list_tasks,
            InvalidCursor,
            NotFound,
            UnclearReference
        ))
        .add(operation!(get_task::get_task, NotFound, UnclearReference))
        .add(operation!(log_task::log_task, NotFound, UnclearReference))
        .add(operation!(
            retry_task::retry_task,
            NotFound,
            UnclearReference,
            OtherModel,
            AtWork,
            TaskIsOver,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            cancel_task::cancel_task,
            NotFound,
            UnclearReference,
            TaskIsOver,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            steer_task::steer_task,
            NotFound,
            UnclearReference,
            TaskIsOver,
            Conflict
        ))
}

/// Which task.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TaskPath {
    /// Row id of the task, or its reference `TSK-n`.
    #[param(
        example = json!(EXAMPLE_TASK),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Ss][Kk]-0*[1-9][0-9]{0,17})$"
    )]
    task_id: String,
}

/// Which project's numbers a reference means.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ProjectOfTask {
    /// The project of the reference, where several have one with its number.
    project_id: Option<ProjectId>,
}

impl ApiCaller {
    /// The task that a path names.
    async fn find_task(&self, path: &TaskPath, of: &ProjectOfTask) -> Result<Task, ApiError> {
        let asked = AskedReference::of_path(&path.task_id, of.project_id);
        self.own_rows()
            .read(async |tx| find::task(tx, asked).await)
            .await
    }
}

/// A task as it is now.
async fn answered(caller: &ApiCaller, task: &Task) -> Answer<TaskView> {
    let view = caller.own_rows().read(async |tx| task_view(tx, task).await);
    Ok(Json(view.await?))
}
