//! `DELETE /organizations/{organization_id}/api-keys/{key_id}`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::commands::key::revoke_organisation_key;
use omoi_domain::id::{ApiKeyId, OrgId};
use omoi_protocol::api::{EXAMPLE_KEY, EXAMPLE_ORGANIZATION};
use omoi_store::StoreError;

use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Which key.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OrganizationKeyPath {
    /// Row id of the organisation.
    #[param(example = json!(EXAMPLE_ORGANIZATION))]
    organization_id: OrgId,
    /// Row id of the key.
    #[param(example = json!(EXAMPLE_KEY))]
    key_id: ApiKeyId,
}

/// Revokes a key of an organisation or of its agents. It opens nothing any more, everywhere within 5 seconds.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}/api-keys/{key_id}", tag = "organizations",
    params(OrganizationKeyPath),
    responses((status = 204, description = "It is revoked."))
)]
pub(super) async fn revoke_organization_key(
    caller: Allowed<needs::OrgKeysWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationKeyPath>,
) -> Result<StatusCode, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let (accounts, by) = (caller.accounts_of(&s), caller.member_authority());
    let revoked = revoke_organisation_key(&accounts, by, path.key_id).await;
    match revoked.map_err(|error| s.refuse_account(error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::from(StoreError::NotFound {
            what: "key",
            key: path.key_id.to_string(),
        })),
    }
}
