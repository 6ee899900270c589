//! `DELETE /organizations/{organization_id}/provider-keys/{provider_name}`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::provider_key;

use super::ProviderKeyPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Takes a key away: questions of the organisation are asked with the deployment's again, in every process within 5 seconds.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}/provider-keys/{provider_name}", tag = "organizations",
    params(ProviderKeyPath),
    responses((status = 204, description = "It is gone."))
)]
pub(super) async fn remove_provider_key(
    caller: Allowed<needs::OrgWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<ProviderKeyPath>,
) -> Result<StatusCode, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let (accounts, by) = (caller.accounts_of(&s), caller.member_authority());
    let removed = provider_key::remove_provider_key(&accounts, by, &path.provider_name).await;
    removed.map_err(|error| s.refuse_account(error))?;
    Ok(StatusCode::NO_CONTENT)
}
