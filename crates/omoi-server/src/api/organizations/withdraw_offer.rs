//! `DELETE /organizations/{organization_id}/transfer`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::transfer;
use omoi_store::StoreError;

use super::OrganizationPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Takes the offer to own the organisation back.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}/transfer", tag = "organizations",
    params(OrganizationPath),
    responses((status = 204, description = "Nobody is offered it any more."))
)]
pub(super) async fn withdraw_offer(
    caller: Allowed<needs::OrgTransfer>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Result<StatusCode, ApiError> {
    let org = caller.expect_organization(path.organization_id)?;
    let by = caller.member_authority();
    let withdrawn = transfer::withdraw_offer(&caller.accounts_of(&s), by).await;
    match withdrawn.map_err(|error| s.refuse_account(error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::from(StoreError::NotFound {
            what: "offer",
            key: org.to_string(),
        })),
    }
}
