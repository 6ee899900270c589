//! Makes a ticket wait for another one no more.

use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_execution::commands;
use omoi_protocol::api::EXAMPLE_TICKET;

use super::ProjectOfTicket;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Which ticket, and which that it waits for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DependencyPath {
    /// Row id of the ticket that waits, or its reference `TKT-n`.
    #[param(
        example = json!(EXAMPLE_TICKET),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Kk][Tt]-0*[1-9][0-9]{0,17})$"
    )]
    ticket_id: String,
    /// Row id of the one that it waits for, or its reference `TKT-n`.
    #[param(
        example = json!("TKT-002"),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Kk][Tt]-0*[1-9][0-9]{0,17})$"
    )]
    dependency_id: String,
}

/// Makes a ticket wait for another one no more.
#[utoipa::path(
    delete, path = "/tickets/{ticket_id}/dependencies/{dependency_id}", tag = "tickets",
    params(DependencyPath, ProjectOfTicket),
    responses((status = 204, description = "It waits for it no more."))
)]
pub(super) async fn remove_ticket_dependency(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<DependencyPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Result<StatusCode, ApiError> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let of = ProjectOfTicket {
        project_id: Some(ticket.project_id),
    };
    let prerequisite = caller.find_ticket(&path.dependency_id, &of).await?;
    let tenant = caller.own_rows();
    commands::remove_ticket_dependency(tenant, ticket.id, prerequisite.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
