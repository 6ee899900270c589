//! `GET /organizations/{organization_id}/staff-entries`.

use axum::Json;

use omoi_protocol::api::{ListPage, StaffEntryView};
use omoi_store::{Tx, staff_entries};

use super::OrganizationPath;
use super::views::staff_entry_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Lists who of the platform's staff entered the organisation, and why, newest first: at most 200.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/staff-entries", tag = "organizations",
    params(OrganizationPath),
    responses((status = 200, description = "The stays.", body = ListPage<StaffEntryView>))
)]
pub(super) async fn list_staff_entries(
    caller: Allowed<needs::OrgAuditRead>,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Answer<ListPage<StaffEntryView>> {
    let org = caller.expect_organization(path.organization_id)?;
    let rows = caller.own_rows();
    let stays = rows.read(async |tx: &mut Tx| staff_entries::list_of_organisation(tx, org).await);
    let items = stays.await?.into_iter().map(staff_entry_view);
    Ok(Json(ListPage::whole_list(items.collect())))
}
