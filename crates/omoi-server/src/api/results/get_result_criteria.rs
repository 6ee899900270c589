//! Reads what a ticket asks of its result.

use axum::Json;

use omoi_protocol::api::WorkflowCriteria;
use omoi_store::{StoreError, workflow_results};

use super::{WorkflowPath, criteria_view};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::ProjectOfTicket;

/// Reads what a ticket asks of its result; one that asks for none has nothing here.
#[utoipa::path(
    get, path = "/workflows/{workflow_id}/result-criteria", tag = "results",
    params(WorkflowPath, ProjectOfTicket),
    responses((status = 200, description = "The criteria.", body = WorkflowCriteria))
)]
pub(super) async fn get_result_criteria(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<WorkflowPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<WorkflowCriteria> {
    let ticket = caller.find_ticket(&path.workflow_id, &of).await?.id;
    let rows = caller.own_rows();
    let find = rows.read(async |tx| workflow_results::find_criteria(tx, ticket).await);
    let found = find.await?.ok_or(StoreError::NotFound {
        what: "criteria of a result",
        key: path.workflow_id,
    })?;
    Ok(Json(criteria_view(found)))
}
