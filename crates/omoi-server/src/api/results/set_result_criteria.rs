//! Sets what a ticket asks of its result.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::WorkflowCriteria;

use super::{WorkflowPath, criteria_view};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::ProjectOfTicket;

/// Sets what a ticket asks of its result, and what follows when one meets it. Results that were submitted before are judged
/// by what was asked then.
#[utoipa::path(
    put, path = "/workflows/{workflow_id}/result-criteria", tag = "results",
    params(WorkflowPath, ProjectOfTicket), request_body = WorkflowCriteria,
    responses((status = 200, description = "The criteria.", body = WorkflowCriteria))
)]
pub(super) async fn set_result_criteria(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<WorkflowPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<WorkflowCriteria>,
) -> Answer<WorkflowCriteria> {
    let ticket = caller.find_ticket(&path.workflow_id, &of).await?.id;
    let (criteria, follows) = (&body.result_criteria, body.on_result_found);
    let rows = caller.own_rows();
    let set = commands::set_result_criteria(rows, ticket, criteria, follows).await?;
    Ok(Json(criteria_view(set)))
}
