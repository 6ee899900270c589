//! `POST /organizations/{organization_id}/transfer/accept`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::transfer;

use super::OrganizationPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Makes whoever asks the owner of the organisation, which was offered to them.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/transfer/accept", tag = "organizations",
    params(OrganizationPath),
    responses((status = 204, description = "They own it."))
)]
pub(super) async fn accept_ownership(
    caller: Allowed<needs::OrgRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Result<StatusCode, ApiError> {
    let org = caller.expect_organization(path.organization_id)?;
    let user = caller.expect_person()?;
    let accepted = transfer::accept_ownership(&caller.accounts_of(&s), org, user).await;
    accepted.map_err(|error| s.refuse_link(error))?;
    Ok(StatusCode::NO_CONTENT)
}
