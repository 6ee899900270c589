//! `GET /organizations/{organization_id}/members`.

use axum::Json;

use omoi_protocol::api::{ListPage, MemberView};
use omoi_store::Tx;

use super::OrganizationPath;
use super::views::member_views;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Lists the members of an organisation.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/members", tag = "organizations",
    params(OrganizationPath),
    responses((status = 200, description = "The members.", body = ListPage<MemberView>))
)]
pub(super) async fn list_members(
    caller: Allowed<needs::OrgMembersRead>,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Answer<ListPage<MemberView>> {
    caller.expect_organization(path.organization_id)?;
    let rows = caller.own_rows();
    let read = rows.read(async |tx: &mut Tx| member_views(tx, None).await);
    Ok(Json(ListPage::whole_list(read.await?)))
}
