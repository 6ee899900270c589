//! Tells whether tasks would wait for each other.

use axum::Json;

use omoi_execution::commands::{DependencyEdit, find_cycle};
use omoi_protocol::api::{CircularCheck, DependencyList};

use super::{ProjectOfTask, TaskPath};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Tells whether tasks would wait for each other, were a task to wait for others as well; nothing is changed.
#[utoipa::path(
    post, path = "/tasks/{task_id}/check-circular", tag = "tasks", params(TaskPath, ProjectOfTask),
    request_body = DependencyList,
    responses((status = 200, description = "The tasks that would.", body = CircularCheck))
)]
pub(super) async fn check_circular_dependency(
    caller: Allowed<needs::TaskWrite>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
    ApiBody(body): ApiBody<DependencyList>,
) -> Answer<CircularCheck> {
    let task = caller.find_task(&path, &of).await?;
    let named = caller
        .find_prerequisites(task.project_id, &body.depends_on, "/depends_on")
        .await?;
    let edit = DependencyEdit::Add(named);
    let cycle = find_cycle(caller.own_rows(), task.id, &edit)
        .await?
        .unwrap_or_default();
    let cycle: Vec<String> = cycle.iter().map(ToString::to_string).collect();
    Ok(Json(CircularCheck {
        is_circular: !cycle.is_empty(),
        cycle,
    }))
}
