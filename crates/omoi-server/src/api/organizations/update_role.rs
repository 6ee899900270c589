//! `PATCH /organizations/{organization_id}/roles/{role_id}`.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use omoi_accounts::commands::role::{self, RoleDraft, RoleUpdate};
use omoi_accounts::error::AccountError;
use omoi_protocol::api::{RoleView, UpdateRole};
use omoi_store::{Tx, roles};

use super::RolePath;
use super::views::custom_role_view;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, VersionedJson, stale_version};
use crate::error::ApiError;

/// Changes a role for everybody who has it. Those that every organisation has stay as they are.
#[utoipa::path(
    patch, path = "/organizations/{organization_id}/roles/{role_id}", tag = "organizations",
    request_body = UpdateRole,
    params(RolePath, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The role as it is then.", body = RoleView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn update_role(
    caller: Allowed<needs::OrgRolesWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<RolePath>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<UpdateRole>,
) -> Result<Response, ApiError> {
    caller.expect_organization(path.organization_id)?;
    let rows = caller.own_rows();
    let look = async || {
        rows.read(async |tx: &mut Tx| roles::get(tx, path.role_id).await)
            .await
    };
    let known = look().await?;
    // What is left out is what was read: the change is meant for that, unless it names versions itself.
    let versions = meant.0.unwrap_or_else(|| vec![known.state_version]);
    let change = RoleUpdate {
        draft: changed_draft(RoleDraft::of_role(&known), body),
        versions: Some(&versions),
    };
    let (accounts, by) = (caller.accounts_of(&s), caller.member_authority());
    match role::update_role(&accounts, by, path.role_id, change).await {
        Ok(row) => {
            let version = row.state_version;
            let body = custom_role_view(row);
            Ok(VersionedJson { version, body }.into_response())
        }
        Err(AccountError::StaleVersion) => {
            let current = look().await?;
            Ok(stale_version(
                current.state_version,
                &custom_role_view(current),
            ))
        }
        Err(error) => Err(s.refuse_account(error)),
    }
}

fn changed_draft(draft: RoleDraft, body: UpdateRole) -> RoleDraft {
    RoleDraft {
        name: body.name.unwrap_or(draft.name),
        description: body.description.unwrap_or(draft.description),
        permissions: body.permissions.unwrap_or(draft.permissions),
        inherits_from: body.inherits_from.unwrap_or(draft.inherits_from),
    }
}
