//! Takes what somebody says came of a ticket.

use axum::Json;
use axum::http::StatusCode;

use omoi_execution::commands;
use omoi_protocol::api::{SubmitWorkflowResult, WorkflowResultView};

use super::workflow_result_view;
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::find::{self, AskedReference};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::ProjectOfTicket;
use crate::error::ApiError;

/// Takes what somebody says came of a ticket that has criteria for its result; a person judges it by those that it has now.
#[utoipa::path(
    post, path = "/submit_result", tag = "results", params(ProjectOfTicket),
    request_body = SubmitWorkflowResult,
    responses((status = 201, description = "The result.", body = WorkflowResultView))
)]
pub(super) async fn submit_workflow_result(
    caller: Allowed<needs::TicketWrite>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<SubmitWorkflowResult>,
) -> Result<(StatusCode, Json<WorkflowResultView>), ApiError> {
    let project = caller.only_project().or(of.project_id);
    let asked = AskedReference::of_path(&body.workflow_id, project);
    let rows = caller.own_rows();
    let ticket = rows.read(async |tx| find::find_ticket(tx, asked).await);
    let ticket = ticket.await?.id;
    let said = (body.summary, body.markdown);
    let result = commands::submit_workflow_result(rows, ticket, said).await?;
    Ok((StatusCode::CREATED, Json(workflow_result_view(result))))
}
