//! Shows what a task waits for.

use axum::Json;

use omoi_domain::id::HumanRef;
use omoi_domain::merge::IntegrationState;
use omoi_domain::task::TaskStatus;
use omoi_protocol::api::{DependencyView, TaskPrerequisites};
use omoi_store::tasks::{self, Task, TaskStanding};
use omoi_store::{StoreError, Tx};

use super::{ProjectOfTask, TaskPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Shows what a task waits for, and what waits for it.
#[utoipa::path(
    get, path = "/tasks/{task_id}/dependencies", tag = "tasks", params(TaskPath, ProjectOfTask),
    responses((status = 200, description = "The tasks before and after it.", body = TaskPrerequisites))
)]
pub(super) async fn get_task_dependencies(
    caller: Allowed<needs::TaskRead>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> Answer<TaskPrerequisites> {
    let task = caller.find_task(&path, &of).await?;
    let read = caller
        .own_rows()
        .read(async |tx| dependencies_of(tx, &task).await);
    Ok(Json(read.await?))
}

/// The tasks before and after `task`, in the order of the plan.
pub(super) async fn dependencies_of(
    tx: &mut Tx,
    task: &Task,
) -> Result<TaskPrerequisites, StoreError> {
    let edges = tasks::dependencies(tx, task.spec_id).await?;
    let standing = tasks::standing_of_spec(tx, task.spec_id).await?;
    let comes_before = |other: &&TaskStanding| edges.contains(&(task.id, other.id));
    let comes_after = |other: &&TaskStanding| edges.contains(&(other.id, task.id));
    let before: Vec<&TaskStanding> = standing.iter().filter(comes_before).collect();
    let has_landed = |task: &&TaskStanding| {
        task.status == TaskStatus::Completed && task.integration_state == IntegrationState::Merged
    };
    Ok(TaskPrerequisites {
        task_id: task.id,
        is_ready: before.iter().all(has_landed),
        depends_on: before.into_iter().map(edge_view).collect(),
        blocks: standing.iter().filter(comes_after).map(edge_view).collect(),
    })
}

fn edge_view(task: &TaskStanding) -> DependencyView {
    DependencyView {
        id: task.id,
        task_ref: HumanRef::task(task.number).to_string(),
        title: task.title.clone(),
        status: task.status,
        integration_state: task.integration_state,
    }
}
