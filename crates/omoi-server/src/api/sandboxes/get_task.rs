//! Shows the task that is worked on in a sandbox.

use axum::Json;

use omoi_protocol::api::TaskView;

use super::SandboxPath;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::task_view::task_view;

/// Shows the task that is worked on in a sandbox.
#[utoipa::path(
    get, path = "/sandboxes/{sandbox_id}/task", tag = "sandboxes", params(SandboxPath),
    responses((status = 200, description = "The task.", body = TaskView))
)]
pub(super) async fn get_sandbox_task(
    caller: Allowed<needs::SandboxRead>,
    ApiPath(path): ApiPath<SandboxPath>,
) -> Answer<TaskView> {
    let read = caller.own_rows().read(async |tx| {
        let task = path.find_task(tx).await?;
        task_view(tx, &task).await
    });
    Ok(Json(read.await?))
}
