//! Shows what a task changed.

use axum::Json;
use axum::extract::State;

use omoi_git::object::ObjectId;
use omoi_protocol::api::CommitDiffView;
use omoi_store::StoreError;
use omoi_store::tasks::Task;

use super::{ProjectOfTask, TaskPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::commits::diff_view;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Shows what a task changed, from the commit that its branch was cut from to what its agent handed in last.
#[utoipa::path(
    get, path = "/tasks/{task_id}/diff", tag = "tasks", params(TaskPath, ProjectOfTask),
    responses((status = 200, description = "What it changed.", body = CommitDiffView))
)]
pub(super) async fn get_task_diff(
    caller: Allowed<needs::TaskRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> Answer<CommitDiffView> {
    let task = caller.find_task(&path, &of).await?;
    let missing = || -> ApiError {
        let what = "commit handed in for the task";
        let key = task.id.to_string();
        StoreError::NotFound { what, key }.into()
    };
    let (base, head) = ends_of(&task).ok_or_else(missing)?;
    let mirror = s.mirror_of(task.project_id).await?.ok_or_else(missing)?;
    let is_there = mirror.has_commit(&base).await? && mirror.has_commit(&head).await?;
    match is_there {
        true => Ok(Json(diff_view(&mirror, Some(&base), &head).await?)),
        false => Err(missing()),
    }
}

/// Where its work begins and ends, once there is some.
fn ends_of(task: &Task) -> Option<(ObjectId, ObjectId)> {
    let base = ObjectId::parse(task.base_sha.as_deref()?).ok()?;
    Some((base, ObjectId::parse(task.head_sha.as_deref()?).ok()?))
}
