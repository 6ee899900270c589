//! Unties tickets from a spec.

use omoi_execution::commands;
use omoi_protocol::api::{LinkedTicketView, ListPage, SpecTicketList};

use super::list_linked_tickets::answered_links;
use super::{OfProject, SpecPath};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Unties tickets from a spec; those that are not tied stay as they are.
#[utoipa::path(
    post, path = "/specs/{spec_id}/unlink-tickets", tag = "specs", request_body = SpecTicketList,
    params(SpecPath, OfProject),
    responses((status = 200, description = "The tickets that have to do with it then.", body = ListPage<LinkedTicketView>))
)]
pub(super) async fn unlink_tickets(
    caller: Allowed<needs::SpecWrite>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    ApiBody(body): ApiBody<SpecTicketList>,
) -> Answer<ListPage<LinkedTicketView>> {
    let spec = caller.find_spec(&path, &of).await?;
    let tickets = caller.listed_tickets(&spec, &body).await?;
    let rows = caller.own_rows();
    caller
        .act_once(commands::unlink_tickets(rows, spec.id, &tickets))
        .await?;
    answered_links(&caller, spec.id).await
}
