//! `GET /organizations`.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::{ListPage, OrganizationView};
use omoi_store::{Tx, organisations};

use super::organization_view;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Lists the organisations that whoever asks belongs to, with what this credential may do in each.
#[utoipa::path(
    get, path = "/organizations", tag = "organizations",
    responses((status = 200, description = "The organisations.", body = ListPage<OrganizationView>))
)]
pub(super) async fn list_organizations(
    caller: AccountCaller<needs::OwnAccount>,
    State(s): Surface,
) -> Answer<ListPage<OrganizationView>> {
    let mut items = Vec::with_capacity(caller.reaches.len());
    for reach in &caller.reaches {
        let tenant = s.accounts.store.tenant(reach.org);
        let found = tenant.read(async |tx: &mut Tx| organisations::get(tx).await);
        items.push(organization_view(found.await?, reach.permissions_in(None)));
    }
    Ok(Json(ListPage::whole_list(items)))
}
