//! `DELETE /organizations/{organization_id}/members/{member_id}/grants`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::commands::grant::{self, GrantDraft};
use omoi_domain::access::permission::Permission;
use omoi_domain::id::ProjectId;
use omoi_protocol::api::EXAMPLE_PROJECT;
use omoi_store::StoreError;

use super::MemberPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Which grant.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantQuery {
    /// Where.
    #[param(example = json!(EXAMPLE_PROJECT))]
    project_id: ProjectId,
    /// `spec:approve` or `ticket:approve`.
    #[param(inline, example = "spec:approve")]
    permission: Permission,
}

/// Takes a permission in one project back.
#[utoipa::path(
    delete, path = "/organizations/{organization_id}/members/{member_id}/grants", tag = "organizations",
    params(MemberPath, GrantQuery),
    responses((status = 204, description = "They may not any more."))
)]
pub(super) async fn revoke_grant(
    caller: Allowed<needs::OrgRolesWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<MemberPath>,
    ApiQuery(body): ApiQuery<GrantQuery>,
) -> Result<StatusCode, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let draft = GrantDraft {
        member: path.member_id,
        project: body.project_id,
        permission: body.permission,
    };
    let by = caller.member_authority();
    let revoked = grant::revoke_grant(&caller.accounts_of(&s), by, draft).await;
    match revoked.map_err(|error| s.refuse_account(error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::from(StoreError::NotFound {
            what: "grant",
            key: format!("{} in {}", draft.permission, draft.project),
        })),
    }
}
