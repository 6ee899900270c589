//! Lists the files of a ticket.

use axum::Json;

use omoi_protocol::api::{FileView, ListPage};
use omoi_store::stored_files;

use super::file_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::{ProjectOfTicket, TicketPath};

/// Lists the files of a ticket, oldest first: 100 at most.
#[utoipa::path(
    get, path = "/tickets/{ticket_id}/files", tag = "tickets", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The files.", body = ListPage<FileView>))
)]
pub(super) async fn list_files(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<ListPage<FileView>> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let found = caller
        .own_rows()
        .read(async |tx| stored_files::list_of_ticket(tx, ticket.id).await);
    let views = found.await?.into_iter().map(file_view);
    Ok(Json(ListPage::whole_list(views.collect())))
}
