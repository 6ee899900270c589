//! `POST /organizations/{organization_id}/restore`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::organisation_changes::restore_organisation;

use super::OrganizationPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Takes an organisation back that was put away in the last 30 days. Keys that ended stay so.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/restore", tag = "organizations",
    params(OrganizationPath),
    responses((status = 204, description = "It is as before."))
)]
pub(super) async fn restore_organization(
    caller: Allowed<needs::OrgDelete>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Result<StatusCode, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let by = caller.member_authority();
    let restored = restore_organisation(&caller.accounts_of(&s), by).await;
    restored.map_err(|error| s.refuse_account(error))?;
    Ok(StatusCode::NO_CONTENT)
}
