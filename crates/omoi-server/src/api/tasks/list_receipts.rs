//! Lists the receipts of a task.

use axum::Json;

use omoi_protocol::api::{ListPage, ReceiptView};

use super::{ProjectOfTask, TaskPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::task_view::receipt_views;

/// Lists the receipts of the checks of a task, oldest first.
#[utoipa::path(
    get, path = "/tasks/{task_id}/receipts", tag = "tasks", params(TaskPath, ProjectOfTask),
    responses((status = 200, description = "The receipts.", body = ListPage<ReceiptView>))
)]
pub(super) async fn list_task_receipts(
    caller: Allowed<needs::TaskRead>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> Answer<ListPage<ReceiptView>> {
    let task = caller.find_task(&path, &of).await?;
    let views = caller
        .own_rows()
        .read(async |tx| receipt_views(tx, &task).await);
    Ok(Json(ListPage::whole_list(views.await?)))
}
