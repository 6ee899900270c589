//! `POST /organizations/{organization_id}/transfer`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::transfer;
use omoi_protocol::api::{OfferOwnership, OwnershipOfferView};

use super::OrganizationPath;
use super::views::offer_view;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Offers a member to own the organisation, in place of an earlier offer. They accept within 72 hours.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/transfer", tag = "organizations",
    request_body = OfferOwnership, params(OrganizationPath),
    responses((status = 201, description = "The offer.", body = OwnershipOfferView))
)]
pub(super) async fn offer_ownership(
    caller: Allowed<needs::OrgTransfer>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
    ApiBody(body): ApiBody<OfferOwnership>,
) -> Result<(StatusCode, Json<OwnershipOfferView>), ApiError> {
    caller.expect_organization(path.organization_id)?;
    caller.expect_recent_sign_in(s.parts.clock.now())?;
    let by = caller.member_authority();
    let offer = transfer::offer_ownership(&caller.accounts_of(&s), by, body.user_id).await;
    let offer = offer.map_err(|error| s.refuse_account(error))?;
    Ok((StatusCode::CREATED, Json(offer_view(&offer))))
}
