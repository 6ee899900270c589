//! Takes what somebody says came of a task.

use axum::Json;
use axum::http::StatusCode;

use omoi_execution::commands;
use omoi_protocol::api::{ReportTaskResult, TaskResultView};
use omoi_store::task_results::NewTaskResult;

use super::task_result_view;
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::find::{self, AskedReference};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tasks::ProjectOfTask;
use crate::error::ApiError;

/// Takes what somebody says came of a task: a text, not a path. Nobody has verified it then.
#[utoipa::path(
    post, path = "/report_results", tag = "results", params(ProjectOfTask),
    request_body = ReportTaskResult,
    responses((status = 201, description = "The result.", body = TaskResultView))
)]
pub(super) async fn report_task_result(
    caller: Allowed<needs::TaskWrite>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
    ApiBody(body): ApiBody<ReportTaskResult>,
) -> Result<(StatusCode, Json<TaskResultView>), ApiError> {
    let project = caller.only_project().or(of.project_id);
    let asked = AskedReference::of_path(&body.task_id, project);
    let rows = caller.own_rows();
    let task = rows.read(async |tx| find::task(tx, asked).await).await?.id;
    let new = NewTaskResult {
        result_type: body.result_type,
        summary: body.summary,
        content: body.markdown,
    };
    let result = commands::submit_task_result(rows, task, new).await?;
    Ok((StatusCode::CREATED, Json(task_result_view(result))))
}
