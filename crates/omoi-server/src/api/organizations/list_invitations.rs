//! `GET /organizations/{organization_id}/invitations`.

use axum::Json;

use omoi_protocol::api::{InvitationView, ListPage};
use omoi_store::{Tx, invitations};

use super::OrganizationPath;
use super::views::invitation_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Lists the invitations that are open, the oldest first.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/invitations", tag = "organizations",
    params(OrganizationPath),
    responses((status = 200, description = "The invitations.", body = ListPage<InvitationView>))
)]
pub(super) async fn list_invitations(
    caller: Allowed<needs::OrgMembersWrite>,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Answer<ListPage<InvitationView>> {
    let org = caller.expect_organization(path.organization_id)?;
    let rows = caller.own_rows();
    let open = rows.read(async |tx: &mut Tx| invitations::list_open(tx, org).await);
    let items = open.await?.into_iter().map(invitation_view);
    Ok(Json(ListPage::whole_list(items.collect())))
}
