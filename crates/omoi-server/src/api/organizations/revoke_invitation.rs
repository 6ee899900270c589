//! `DELETE /organizations/{organization_id}/invitations/{invitation_id}`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::invitation;
use omoi_store::StoreError;

use super::InvitationPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Takes an invitation back.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}/invitations/{invitation_id}", tag = "organizations",
    params(InvitationPath),
    responses((status = 204, description = "It is good no more."))
)]
pub(super) async fn revoke_invitation(
    caller: Allowed<needs::OrgMembersWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<InvitationPath>,
) -> Result<StatusCode, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let (accounts, by) = (caller.accounts_of(&s), caller.member_authority());
    let revoked = invitation::revoke_one_invitation(&accounts, by, path.invitation_id).await;
    match revoked.map_err(|error| s.refuse_account(error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::from(StoreError::NotFound {
            what: "invitation",
            key: path.invitation_id.to_string(),
        })),
    }
}
