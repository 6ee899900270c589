//! `GET /organizations/{organization_id}/provider-keys`.

use axum::Json;

use omoi_protocol::api::{ListPage, ProviderKeyView};
use omoi_store::{Tx, provider_keys};

use super::OrganizationPath;
use super::views::provider_key_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Lists the keys that the organisation brought for providers of models, by their last four characters.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/provider-keys", tag = "organizations",
    params(OrganizationPath),
    responses((status = 200, description = "The keys.", body = ListPage<ProviderKeyView>))
)]
pub(super) async fn list_provider_keys(
    caller: Allowed<needs::OrgWrite>,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Answer<ListPage<ProviderKeyView>> {
    caller.expect_organization(path.organization_id)?;
    let rows = caller.own_rows();
    let keys = rows.read(async |tx: &mut Tx| provider_keys::list_all(tx).await);
    let items = keys.await?.into_iter().map(provider_key_view);
    Ok(Json(ListPage::whole_list(items.collect())))
}
