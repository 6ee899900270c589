//! `POST /organizations/{organization_id}/staff-entries`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::staff;
use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::{EnterOrganization, StaffEntryView};

use super::OrganizationPath;
use super::views::staff_entry_view;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Lets staff of the platform act in an organisation as an admin of it, for an hour. Its owners read why.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/staff-entries", tag = "organizations",
    request_body = EnterOrganization, params(OrganizationPath),
    responses((status = 201, description = "The stay.", body = StaffEntryView))
)]
pub(super) async fn enter_organization(
    caller: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
    ApiBody(body): ApiBody<EnterOrganization>,
) -> Result<(StatusCode, Json<StaffEntryView>), ApiError> {
    let user = caller
        .user_id()
        .ok_or_else(|| ApiError::new(ErrorCode::Forbidden, "this credential is no person's"))?;
    let (accounts, org) = (caller.accounts_of(&s), path.organization_id);
    let entry = staff::enter_organisation(&accounts, user, org, &body.reason).await;
    let entry = entry.map_err(|error| s.refuse_account(error))?;
    Ok((StatusCode::CREATED, Json(staff_entry_view(entry))))
}
