//! `GET /organizations/{organization_id}/api-keys`.

use axum::Json;

use omoi_protocol::api::{ListPage, OrganizationKeyView};
use omoi_store::{StoreError, Tx, api_keys};

use super::OrganizationPath;
use super::views::organization_key_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Lists the keys of an organisation and of its agents that were not revoked.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/api-keys", tag = "organizations",
    params(OrganizationPath),
    responses((status = 200, description = "The keys.", body = ListPage<OrganizationKeyView>))
)]
pub(super) async fn list_organization_keys(
    caller: Allowed<needs::OrgKeysWrite>,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Answer<ListPage<OrganizationKeyView>> {
    let org = caller.expect_organization(path.organization_id)?;
    let rows = caller.own_rows();
    let read = rows.read(async |tx: &mut Tx| -> Result<_, StoreError> {
        Ok((api_keys::list_of_organisation(tx, org).await?, tx.now()))
    });
    let (keys, now) = read.await?;
    let items = keys.into_iter().map(|key| organization_key_view(key, now));
    Ok(Json(ListPage::whole_list(items.collect())))
}
