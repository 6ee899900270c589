//! Lists what became of a ticket.

use axum::Json;

use omoi_protocol::api::{ListPage, TicketHistoryEntry};
use omoi_store::state_transitions;

use super::{ProjectOfTicket, TicketPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::ticket_view::history_entry;

/// Entries that are answered at most: the newest.
const ENTRIES_MAX: u32 = 1_000;

/// Lists the newest 1,000 changes of a ticket, oldest first, with who made them.
#[utoipa::path(
    get, path = "/tickets/{ticket_id}/history", tag = "tickets", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The changes.", body = ListPage<TicketHistoryEntry>))
)]
pub(super) async fn list_ticket_history(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<ListPage<TicketHistoryEntry>> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let rows = caller
        .own_rows()
        .read(async |tx| state_transitions::of_ticket(tx, ticket.id, ENTRIES_MAX).await);
    let entries = rows.await?.into_iter().map(history_entry);
    Ok(Json(ListPage::whole_list(entries.collect())))
}
