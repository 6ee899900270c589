//! `POST /organizations/{organization_id}/invitations`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::invitation::{self, InvitationWay};
use omoi_domain::access::mail_address::{BadMailAddress, MailAddress};
use omoi_domain::access::role::MemberRole;
use omoi_protocol::api::{InvitationView, InviteMember};

use super::OrganizationPath;
use super::views::invitation_view;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Invites whoever has an address, by a mail with a link that is good once within 7 days. An open invitation to the
/// same address ends.
///
/// Only the mail holds the link: whoever accepts has shown that the address is theirs.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/invitations", tag = "organizations",
    request_body = InviteMember, params(OrganizationPath),
    responses((status = 201, description = "The invitation.", body = InvitationView))
)]
pub(super) async fn invite_member(
    caller: Allowed<needs::OrgMembersWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
    ApiBody(body): ApiBody<InviteMember>,
) -> Result<(StatusCode, Json<InvitationView>), ApiError> {
    caller.expect_organization(path.organization_id)?;
    caller.expect_person()?;
    s.expect_mail_server()?;
    let (by, role) = (caller.member_authority(), MemberRole::of_id(body.role_id));
    caller.expect_recent_for(role, s.parts.clock.now())?;
    let to: MailAddress = body.email.parse().map_err(|error: BadMailAddress| {
        ApiError::invalid_value(error.to_string()).with_field("/email")
    })?;
    let accounts = caller.accounts_of(&s);
    let made = invitation::invite_member(&accounts, by, (&to, role), InvitationWay::Mailed).await;
    let made = made.map_err(|error| s.refuse_account(error))?;
    Ok((StatusCode::CREATED, Json(invitation_view(made.invitation))))
}
