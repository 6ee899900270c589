//! `DELETE /organizations/{organization_id}/roles/{role_id}`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::role;

use super::RolePath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Removes a role that no member, invitation, key or other role has.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}/roles/{role_id}", tag = "organizations",
    params(RolePath),
    responses((status = 204, description = "It is gone."))
)]
pub(super) async fn delete_role(
    caller: Allowed<needs::OrgRolesWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<RolePath>,
) -> Result<StatusCode, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let by = caller.member_authority();
    let deleted = role::delete_role(&caller.accounts_of(&s), by, path.role_id).await;
    deleted.map_err(|error| s.refuse_account(error))?;
    Ok(StatusCode::NO_CONTENT)
}
