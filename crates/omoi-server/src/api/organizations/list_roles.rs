//! `GET /organizations/{organization_id}/roles`.

use axum::Json;

use omoi_domain::access::role::SystemRole;
use omoi_protocol::api::{ListPage, RoleView};
use omoi_store::{Tx, roles};

use super::OrganizationPath;
use super::views::{custom_role_view, system_role_view};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Lists the roles that members can have: those of every organisation, then its own.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/roles", tag = "organizations",
    params(OrganizationPath),
    responses((status = 200, description = "The roles.", body = ListPage<RoleView>))
)]
pub(super) async fn list_roles(
    caller: Allowed<needs::OrgRead>,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Answer<ListPage<RoleView>> {
    caller.expect_organization(path.organization_id)?;
    let rows = caller.own_rows();
    let own = rows.read(async |tx: &mut Tx| roles::list_all(tx).await);
    let system = SystemRole::ALL.iter().copied().map(system_role_view);
    let own = own.await?;
    let items = system.chain(own.into_iter().map(custom_role_view));
    Ok(Json(ListPage::whole_list(items.collect())))
}
