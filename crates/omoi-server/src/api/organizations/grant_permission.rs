//! `POST /organizations/{organization_id}/members/{member_id}/grants`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::grant::{self, GrantDraft};
use omoi_protocol::api::GrantView;

use super::MemberPath;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Grants a member a permission in one project, beyond their role.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/members/{member_id}/grants", tag = "organizations",
    request_body = GrantView, params(MemberPath),
    responses((status = 204, description = "They may."))
)]
pub(super) async fn grant_permission(
    caller: Allowed<needs::OrgRolesWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<MemberPath>,
    ApiBody(body): ApiBody<GrantView>,
) -> Result<StatusCode, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let draft = GrantDraft {
        member: path.member_id,
        project: body.project_id,
        permission: body.permission,
    };
    let by = caller.member_authority();
    let granted = grant::grant_permission(&caller.accounts_of(&s), by, draft).await;
    granted.map_err(|error| s.refuse_account(error))?;
    Ok(StatusCode::NO_CONTENT)
}
