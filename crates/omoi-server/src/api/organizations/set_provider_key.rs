//! `PUT /organizations/{organization_id}/provider-keys/{provider_name}`.

use axum::Json;
use axum::extract::State;

use omoi_accounts::commands::provider_key;
use omoi_protocol::api::{ProviderKeyView, SetProviderKey};

use super::ProviderKeyPath;
use super::views::provider_key_view;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Brings a key for a provider that the deployment asks, in the place of any other: all questions of the organisation to it
/// are asked with this key, in every process within 5 seconds. It is kept encrypted and never told again.
#[utoipa::path(
    put, path = "/organizations/{organization_id}/provider-keys/{provider_name}", tag = "organizations",
    request_body = SetProviderKey, params(ProviderKeyPath),
    responses((status = 200, description = "How lists show it.", body = ProviderKeyView))
)]
pub(super) async fn set_provider_key(
    caller: Allowed<needs::OrgWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<ProviderKeyPath>,
    ApiBody(body): ApiBody<SetProviderKey>,
) -> Answer<ProviderKeyView> {
    caller.expect_organization(path.organization_id)?;
    let (accounts, by) = (caller.accounts_of(&s), caller.member_authority());
    let provider = &path.provider_name;
    let set = provider_key::set_provider_key(&accounts, by, provider, &body.key.into()).await;
    let row = set.map_err(|error| s.refuse_account(error))?;
    Ok(Json(provider_key_view(row)))
}
