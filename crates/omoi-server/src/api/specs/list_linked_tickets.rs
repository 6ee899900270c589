//! Lists the tickets that have to do with a spec.

use axum::Json;

use omoi_domain::id::SpecId;
use omoi_protocol::api::{LinkedTicketView, ListPage, TicketRelation};
use omoi_store::{StoreError, Tx, spec_ticket_links, tickets};

use super::{OfProject, SpecPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::ticket_view::ticket_views;

/// Lists the tickets that have to do with a spec: those of its plan, those that it was begun for, and those that somebody
/// tied to it.
#[utoipa::path(
    get, path = "/specs/{spec_id}/linked-tickets", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The tickets.", body = ListPage<LinkedTicketView>))
)]
pub(super) async fn list_linked_tickets(
    caller: Allowed<needs::SpecRead>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<ListPage<LinkedTicketView>> {
    let spec = caller.find_spec(&path, &of).await?;
    answered_links(&caller, spec.id).await
}

/// The tickets that have to do with a spec as they are now.
pub(super) async fn answered_links(
    caller: &ApiCaller,
    spec: SpecId,
) -> Answer<ListPage<LinkedTicketView>> {
    let views = caller
        .own_rows()
        .read(async |tx| linked_views(tx, spec).await);
    Ok(Json(ListPage::whole_list(views.await?)))
}

async fn linked_views(tx: &mut Tx, spec: SpecId) -> Result<Vec<LinkedTicketView>, StoreError> {
    let mut rows = Vec::new();
    for ticket in tickets::of_spec(tx, spec).await? {
        rows.push((TicketRelation::Plan, None, ticket));
    }
    for ticket in tickets::following_spec(tx, spec).await? {
        rows.push((TicketRelation::Follows, None, ticket));
    }
    for link in spec_ticket_links::of_spec(tx, spec).await? {
        let ticket = tickets::get(tx, link.ticket_id).await?;
        // One that was tied may have come to follow the spec since.
        if rows.iter().all(|(_, _, row)| row.id != ticket.id) {
            let since = Some(link.created_at.into());
            rows.push((TicketRelation::Linked, since, ticket));
        }
    }
    let found = rows.iter().map(|(_, _, ticket)| ticket.clone());
    let shown = ticket_views(tx, found.collect()).await?;
    let views = rows.into_iter().zip(shown);
    let views = views.map(|((relation, linked_at, _), ticket)| LinkedTicketView {
        relation,
        linked_at,
        ticket,
    });
    Ok(views.collect())
}
