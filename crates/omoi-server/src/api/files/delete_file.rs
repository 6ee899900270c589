//! Removes a file of a ticket.

use axum::http::StatusCode;

use omoi_domain::access::permission::Permission;
use omoi_execution::commands::remove_file;

use super::FilePath;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::ProjectOfTicket;
use crate::error::ApiError;

/// Removes a file of a ticket: one's own, or with the permission `ticket:delete` anybody's.
#[utoipa::path(
    delete, path = "/tickets/{ticket_id}/files/{file_id}", tag = "tickets", params(FilePath, ProjectOfTicket),
    responses((status = 204, description = "The file is gone."))
)]
pub(super) async fn delete_file(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<FilePath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Result<StatusCode, ApiError> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let is_any_giver = caller.has_also(Permission::TicketDelete);
    remove_file(caller.own_rows(), ticket.id, path.file_id, is_any_giver).await?;
    Ok(StatusCode::NO_CONTENT)
}
