//! `DELETE /organizations/{organization_id}/staff-entries`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::staff;
use omoi_domain::error_code::ErrorCode;
use omoi_store::StoreError;

use super::OrganizationPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Ends the stay of whoever asks in an organisation that they entered as staff.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}/staff-entries", tag = "organizations",
    params(OrganizationPath),
    responses((status = 204, description = "They are out."))
)]
pub(super) async fn leave_organization(
    caller: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Result<StatusCode, ApiError> {
    let user = caller
        .user_id()
        .ok_or_else(|| ApiError::new(ErrorCode::Forbidden, "this credential is no person's"))?;
    let (accounts, org) = (caller.accounts_of(&s), path.organization_id);
    let left = staff::leave_organisation(&accounts, user, org).await;
    match left.map_err(|error| s.refuse_account(error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::from(StoreError::NotFound {
            what: "stay",
            key: org.to_string(),
        })),
    }
}
