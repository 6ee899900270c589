//! Gives a ticket a file.

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;

use omoi_execution::commands::store_file;
use omoi_protocol::api::FileView;

use super::file_view;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::multipart_body::FormFile;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::{ProjectOfTicket, TicketPath};
use crate::error::ApiError;

/// Gives a ticket a file, sent as the field `file` of a form: 25 MiB at most, under a name that is no path.
///
/// What it is, is told by its own first bytes. Its agents get it with their next attempt, and cannot change it.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/files", tag = "tickets", params(TicketPath, ProjectOfTicket),
    request_body(content = Vec<u8>, content_type = "multipart/form-data"),
    responses((status = 201, description = "The file.", body = FileView))
)]
pub(super) async fn upload_file(
    caller: Allowed<needs::TicketWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    request: Request,
) -> Result<(StatusCode, Json<FileView>), ApiError> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    // Nothing is read for a ticket that is not there.
    let form = FormFile::from_request(request, &s).await?;
    let stored = store_file(
        caller.own_rows(),
        ticket.id,
        &form.name,
        form.file_content(),
    );
    Ok((StatusCode::CREATED, Json(file_view(stored.await?))))
}
