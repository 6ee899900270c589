//! Lists the attempts of a task.

use axum::Json;

use omoi_protocol::api::{AttemptView, ListPage};

use super::{ProjectOfTask, TaskPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::task_view::attempt_views;

/// Lists the attempts at a task, oldest first.
#[utoipa::path(
    get, path = "/tasks/{task_id}/attempts", tag = "tasks", params(TaskPath, ProjectOfTask),
    responses((status = 200, description = "The attempts.", body = ListPage<AttemptView>))
)]
pub(super) async fn list_task_attempts(
    caller: Allowed<needs::TaskRead>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> Answer<ListPage<AttemptView>> {
    let task = caller.find_task(&path, &of).await?;
    let views = caller
        .own_rows()
        .read(async |tx| attempt_views(tx, caller.cost_sight(), &task).await);
    Ok(Json(ListPage::whole_list(views.await?)))
}
