//! `POST /organizations/{organization_id}/members`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::member::{self, KnownAccount};
use omoi_domain::access::role::MemberRole;
use omoi_protocol::api::{AddMember, MemberView};

use super::OrganizationPath;
use super::views::read_member;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Makes an account a member that belongs to another organisation in which the caller sees members. Everybody else is
/// invited to their mail address.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/members", tag = "organizations",
    request_body = AddMember, params(OrganizationPath),
    responses((status = 201, description = "The member.", body = MemberView))
)]
pub(super) async fn add_member(
    caller: Allowed<needs::OrgMembersWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
    ApiBody(body): ApiBody<AddMember>,
) -> Result<(StatusCode, Json<MemberView>), ApiError> {
    caller.expect_organization(path.organization_id)?;
    let (by, role) = (caller.member_authority(), MemberRole::of_id(body.role_id));
    caller.expect_recent_for(role, s.parts.clock.now())?;
    let account = KnownAccount {
        user: body.user_id,
        role,
        met_in: &caller.sees_members_of(),
    };
    let added = member::add_known_member(&caller.accounts_of(&s), by, account).await;
    let added = added.map_err(|error| s.refuse_account(error))?;
    Ok((
        StatusCode::CREATED,
        Json(read_member(&caller, added).await?),
    ))
}
