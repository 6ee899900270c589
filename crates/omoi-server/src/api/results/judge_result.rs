//! Judges what somebody said came of a task or a ticket.

use axum::Json;

use omoi_domain::access::permission::Permission;
use omoi_domain::id::WorkflowResultId;
use omoi_domain::lifecycle::work_result::ResultJudgement;
use omoi_domain::work_result::OnResultFound;
use omoi_execution::commands;
use omoi_protocol::api::{JudgeResult, JudgedResult};
use omoi_store::workflow_results;

use super::{task_result_view, workflow_result_view};
use crate::api::Answer;
use crate::api::body::ApiBody;
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::ProjectOfTicket;
use crate::error::ApiError;

/// Judges what somebody said came of a ticket by the criteria for its result, or of a task. What was judged stays so.
///
/// Where a result meets the criteria of a ticket whose `on_result_found` is `stop_all`, its tasks that are not over are
/// cancelled, and their agents stopped; that needs `task:cancel`, too.
#[utoipa::path(
    post, path = "/submit_result_validation", tag = "results", params(ProjectOfTicket),
    request_body = JudgeResult,
    responses((status = 200, description = "The result as it is then.", body = JudgedResult))
)]
pub(super) async fn judge_result(
    caller: Allowed<needs::TicketApprove>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<JudgeResult>,
) -> Answer<JudgedResult> {
    let only = caller.only_project().or(of.project_id);
    let rows = caller.own_rows();
    let (workflow, task) = (body.result_id, body.task_result_id);
    let said = ResultJudgement {
        passed: body.passed,
        feedback: body.feedback,
        unmet: body.unmet_criteria,
    };
    let judged = match (workflow, task) {
        (Some(id), None) => {
            if said.passed {
                expect_to_stop(&caller, id).await?;
            }
            let result = commands::judge_workflow_result(rows, (id, only), &said).await?;
            JudgedResult {
                workflow_result: Some(workflow_result_view(result)),
                task_result: None,
            }
        }
        (None, Some(id)) => {
            let result = commands::judge_task_result(rows, (id, only), &said).await?;
            JudgedResult {
                workflow_result: None,
                task_result: Some(task_result_view(result)),
            }
        }
        (None, None) | (Some(_), Some(_)) => {
            let says = "either `result_id` or `task_result_id` names what is judged";
            return Err(ApiError::invalid_value(says).with_field("/result_id"));
        }
    };
    Ok(Json(judged))
}

/// Refuses whoever has tasks cancelled by a result and may not cancel tasks.
async fn expect_to_stop(caller: &ApiCaller, id: WorkflowResultId) -> Result<(), ApiError> {
    let criteria = caller.own_rows().read(async |tx| {
        let result = workflow_results::get(tx, id).await?;
        workflow_results::find_criteria(tx, result.ticket_id).await
    });
    let follows = criteria.await?.map(|set| set.on_result_found);
    match follows {
        Some(OnResultFound::DoNothing) => Ok(()),
        Some(OnResultFound::StopAll) | None => caller.expect_also(Permission::TaskCancel),
    }
}
