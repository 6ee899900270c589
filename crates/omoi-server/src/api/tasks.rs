//! Operations on tasks.

mod add_dependencies;
mod cancel_task;
mod check_circular;
mod cleanup_timed_out;
mod create_task;
mod fail_task;
mod get_dependencies;
mod get_task;
mod get_task_diff;
mod get_timeout_status;
mod list_attempts;
mod list_cancellable;
mod list_receipts;
mod list_tasks;
mod list_timed_out;
mod log_task;
mod register_conversation;
mod remove_dependency;
mod replace_dependencies;
mod retry_task;
mod set_timeout;
mod steer_task;
mod update_task;

use std::collections::BTreeSet;

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{ProjectId, TaskId};
use omoi_protocol::api::{EXAMPLE_TASK, TaskView};
use omoi_store::tasks::{self, Task};

use super::caller::ApiCaller;
use super::find::{self, AskedReference};
use super::router::{ApiRouter, operation};
use super::task_view::task_view;
use super::{Answer, ApiSurface};
use crate::error::ApiError;

/// Tasks that one waits for, at most.
const PREREQUISITES_MAX: usize = 100;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    shown_tasks()
        .merge(changed_tasks())
        .merge(timed_tasks())
        .merge(dependencies())
}

fn shown_tasks() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            list_tasks::list_tasks,
            InvalidCursor,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            list_cancellable::list_cancellable_tasks,
            InvalidCursor
        ))
        .add(operation!(get_task::get_task, NotFound, UnclearReference))
        .add(operation!(
            list_attempts::list_task_attempts,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            list_receipts::list_task_receipts,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            get_task_diff::get_task_diff,
            NotFound,
            UnclearReference
        ))
        .add(operation!(log_task::log_task, NotFound, UnclearReference))
}

fn changed_tasks() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            create_task::create_task,
            NotFound,
            UnclearReference,
            Refused,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            update_task::update_task,
            StaleVersion,
            NotFound,
            UnclearReference,
            AtWork,
            TaskIsOver,
            Conflict
        ))
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
            fail_task::fail_task,
            NotFound,
            UnclearReference,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            register_conversation::register_conversation,
            NotFound,
            UnclearReference,
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

fn timed_tasks() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_timed_out::list_timed_out_tasks))
        .add(operation!(
            cleanup_timed_out::cleanup_timed_out_tasks,
            Conflict,
            NotFound,
            ValidationFailed
        ))
        .add(operation!(
            get_timeout_status::get_task_timeout,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            set_timeout::set_task_timeout,
            NotFound,
            UnclearReference,
            TaskIsOver,
            Conflict
        ))
}

fn dependencies() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            get_dependencies::get_task_dependencies,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            add_dependencies::add_task_dependencies,
            CircularDependency,
            NotFound,
            UnclearReference,
            AtWork,
            TaskIsOver,
            Refused,
            Conflict
        ))
        .add(operation!(
            replace_dependencies::replace_task_dependencies,
            CircularDependency,
            NotFound,
            UnclearReference,
            AtWork,
            TaskIsOver,
            Refused,
            Conflict
        ))
        .add(operation!(
            remove_dependency::remove_task_dependency,
            NotFound,
            UnclearReference,
            AtWork,
            TaskIsOver,
            Conflict
        ))
        .add(operation!(
            check_circular::check_circular_dependency,
            NotFound,
            UnclearReference,
            Refused
        ))
}

/// Which task.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TaskPath {
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
pub(super) struct ProjectOfTask {
    /// The project of the reference, where several have one with its number.
    pub(super) project_id: Option<ProjectId>,
}

impl ApiCaller {
    /// The tasks that `texts`, the field `field` of a body, name, as people know them who look at `project`.
    async fn find_prerequisites(
        &self,
        project: ProjectId,
        texts: &[String],
        field: &str,
    ) -> Result<BTreeSet<TaskId>, ApiError> {
        if texts.len() > PREREQUISITES_MAX {
            let says = format!("a task waits for {PREREQUISITES_MAX} tasks at most");
            return Err(ApiError::invalid_value(says).with_field(field));
        }
        let find = self.own_rows().read(async |tx| {
            let mut found = BTreeSet::new();
            for text in texts {
                // A number is one of that project; an id names its row wherever that is.
                let project = text.parse::<TaskId>().is_err().then_some(project);
                let asked = AskedReference::of_path(text, project);
                found.insert(find::task(tx, asked).await?.id);
            }
            Ok::<_, ApiError>(found)
        });
        find.await
    }

    /// The task that a path names.
    pub(super) async fn find_task(
        &self,
        path: &TaskPath,
        of: &ProjectOfTask,
    ) -> Result<Task, ApiError> {
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

/// The task after `act`, which an earlier request with the same key may have done.
async fn task_after<E: Into<ApiError>>(
    caller: &ApiCaller,
    id: TaskId,
    act: impl Future<Output = Result<Task, E>>,
) -> Result<Task, ApiError> {
    match caller.act_once(act).await? {
        Some(task) => Ok(task),
        None => {
            caller
                .own_rows()
                .read(async |tx| Ok(tasks::get(tx, id).await?))
                .await
        }
    }
}
