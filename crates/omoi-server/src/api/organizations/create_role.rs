//! `POST /organizations/{organization_id}/roles`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::role::{self, RoleDraft};
use omoi_protocol::api::{CreateRole, RoleView};

use super::OrganizationPath;
use super::views::custom_role_view;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Makes a role, of no more than whoever makes it may do.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/roles", tag = "organizations",
    request_body = CreateRole, params(OrganizationPath),
    responses((status = 201, description = "The role.", body = RoleView))
)]
pub(super) async fn create_role(
    caller: Allowed<needs::OrgRolesWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
    ApiBody(body): ApiBody<CreateRole>,
) -> Result<(StatusCode, Json<RoleView>), ApiError> {
    caller.expect_organization(path.organization_id)?;
    let draft = RoleDraft {
        name: body.name,
        description: body.description,
        permissions: body.permissions,
        inherits_from: body.inherits_from,
    };
    let by = caller.member_authority();
    let made = role::create_role(&caller.accounts_of(&s), by, draft).await;
    let made = made.map_err(|error| s.refuse_account(error))?;
    Ok((StatusCode::CREATED, Json(custom_role_view(made))))
}
