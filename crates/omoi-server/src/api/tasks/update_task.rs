//! Changes what a person says of a task.

use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use omoi_domain::plain_title::given_title;
use omoi_execution::commands::{TaskCommandError, TaskPatch, edit_task};
use omoi_protocol::api::{ApiTime, TaskView, UpdateTask};
use omoi_store::StoreError;
use omoi_store::tasks::Task;

use super::{ProjectOfTask, TaskPath, answered};
use crate::api::body::{ApiBody, ApiPath, expect_chars};
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, VersionedJson, with_version};
use crate::error::ApiError;

/// Characters of what an agent is told of a task.
pub(super) const DESCRIPTION_CHARS_MAX: usize = 50_000;

/// Changes title, description, priority or deadline of a task, or has it start without its project's autonomy.
///
/// Title and description change only while nobody works on it: its agent is told of them when it begins.
#[utoipa::path(
    patch, path = "/tasks/{task_id}", tag = "tasks", request_body = UpdateTask,
    params(TaskPath, ProjectOfTask, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The task as it is then.", body = TaskView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn update_task(
    caller: Allowed<needs::TaskWrite>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<UpdateTask>,
) -> Result<Response, ApiError> {
    let task = caller.find_task(&path, &of).await?;
    let (patch, versions) = (task_patch(body)?, meant.0.as_deref());
    let task = match edit_task(caller.own_rows(), task.id, versions, &patch).await {
        Err(TaskCommandError::StaleVersion(current)) => {
            return refuse_stale(&caller, *current).await;
        }
        // Somebody was first between the look and the write.
        Err(TaskCommandError::Store(StoreError::Conflict { .. })) if versions.is_some() => {
            return refuse_stale(&caller, caller.find_task(&path, &of).await?).await;
        }
        changed => changed?,
    };
    let version = task.state_version;
    let body = answered(&caller, &task).await?.0;
    Ok(VersionedJson { version, body }.into_response())
}

fn task_patch(body: UpdateTask) -> Result<TaskPatch, ApiError> {
    let title = body.title.as_deref().map(given_title).transpose();
    let title =
        title.map_err(|error| ApiError::invalid_value(error.to_string()).with_field("/title"))?;
    if let Some(description) = &body.description {
        expect_chars("/description", description, DESCRIPTION_CHARS_MAX)?;
    }
    Ok(TaskPatch {
        title,
        description: body.description,
        priority: body.priority,
        deadline_at: body.deadline_at.map(|at| at.map(ApiTime::to_timestamp)),
        force_execute: body.force_execute,
    })
}

/// Refuses a change that was meant for another version of `task`, and shows the present one.
async fn refuse_stale(caller: &ApiCaller, task: Task) -> Result<Response, ApiError> {
    let version = task.state_version;
    let current = answered(caller, &task).await?.0;
    let stale = ApiError::from(TaskCommandError::StaleVersion(Box::new(task)));
    let refusal = stale
        .with_context("current", json!(current))
        .with_field("If-Match")
        .hint("look at what `context.current` has, and send the change with its `ETag`");
    Ok(with_version(refusal.into_response(), version))
}
