//! `DELETE /organizations/{organization_id}`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::organisation_changes::archive_organisation;

use super::OrganizationPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Puts an organisation away: nothing is begun in it, its keys end, and its members only read.
///
/// Within 30 days an owner takes it back.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}", tag = "organizations",
    params(OrganizationPath),
    responses((status = 204, description = "It is put away."))
)]
pub(super) async fn archive_organization(
    caller: Allowed<needs::OrgDelete>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Result<StatusCode, ApiError> {
    caller.expect_organization(path.organization_id)?;
    caller.expect_recent_sign_in(s.parts.clock.now())?;
    let by = caller.member_authority();
    let archived = archive_organisation(&caller.accounts_of(&s), by).await;
    archived.map_err(|error| s.refuse_account(error))?;
    Ok(StatusCode::NO_CONTENT)
}
