//! `DELETE /organizations/{organization_id}/members/{member_id}`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::member;

use super::MemberPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Removes a member, with the invitations that they made. Their keys reach nothing here from then on.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}/members/{member_id}", tag = "organizations",
    params(MemberPath),
    responses((status = 204, description = "They are no member any more."))
)]
pub(super) async fn remove_member(
    caller: Allowed<needs::OrgMembersDelete>,
    State(s): Surface,
    ApiPath(path): ApiPath<MemberPath>,
) -> Result<StatusCode, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let by = caller.member_authority();
    let removed = member::remove_member(&caller.accounts_of(&s), by, path.member_id).await;
    removed.map_err(|error| s.refuse_account(error))?;
    Ok(StatusCode::NO_CONTENT)
}
