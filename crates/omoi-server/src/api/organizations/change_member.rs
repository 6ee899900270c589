//! `PATCH /organizations/{organization_id}/members/{member_id}`.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use omoi_accounts::commands::member::set_member_role;
use omoi_accounts::error::AccountError;
use omoi_domain::access::role::MemberRole;
use omoi_protocol::api::{ChangeMember, MemberView};

use super::MemberPath;
use super::views::read_member;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::{IF_MATCH_DEMANDED, MeantVersions, VersionedJson, stale_version};
use crate::error::ApiError;

/// Gives a member another role. What they were granted in single projects ends where the new role allows less.
///
/// The version that the change is meant for is demanded.
#[utoipa::path(
    patch, path = "/organizations/{organization_id}/members/{member_id}", tag = "organizations",
    request_body = ChangeMember,
    params(MemberPath, ("If-Match" = Option<String>, Header, description = IF_MATCH_DEMANDED)),
    responses((
        status = 200, description = "The member as they are then.", body = MemberView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn change_member(
    caller: Allowed<needs::OrgMembersWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<MemberPath>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<ChangeMember>,
) -> Result<Response, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let versions = meant.named_versions()?;
    let (by, role) = (caller.member_authority(), MemberRole::of_id(body.role_id));
    caller.expect_recent_for(role, s.parts.clock.now())?;
    let accounts = caller.accounts_of(&s);
    let changed = set_member_role(&accounts, by, path.member_id, role, versions.as_deref()).await;
    let is_stale = match changed {
        Ok(()) => false,
        Err(AccountError::StaleVersion) => true,
        Err(error) => return Err(s.refuse_account(error)),
    };
    let body = read_member(&caller, path.member_id).await?;
    let version = body.version;
    Ok(match is_stale {
        true => stale_version(version, &body),
        false => VersionedJson { version, body }.into_response(),
    })
}
