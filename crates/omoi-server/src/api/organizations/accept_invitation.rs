//! `POST /invitations/accept`.

use axum::Json;
use axum::extract::State;

use omoi_accounts::commands::invitation;
use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::{AcceptInvitation, JoinedOrganization};

use crate::api::body::ApiBody;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Makes whoever asks a member, by an invitation to their address.
///
/// Their address must be verified, and whoever invited must still be able to give the role.
#[utoipa::path(
    post, path = "/invitations/accept", tag = "organizations",
    request_body = AcceptInvitation,
    responses((status = 200, description = "They are a member.", body = JoinedOrganization))
)]
pub(super) async fn accept_invitation(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    ApiBody(body): ApiBody<AcceptInvitation>,
) -> Answer<JoinedOrganization> {
    let user = caller
        .user_id()
        .ok_or_else(|| ApiError::new(ErrorCode::Forbidden, "this credential is no person's"))?;
    let accounts = caller.accounts_of(&s);
    let joined = invitation::accept_invitation(&accounts, user, &body.token).await;
    let (organization_id, membership_id) = joined.map_err(|error| s.refuse_link(error))?;
    Ok(Json(JoinedOrganization {
        organization_id,
        membership_id,
    }))
}
