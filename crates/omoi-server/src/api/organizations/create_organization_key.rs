//! `POST /organizations/{organization_id}/api-keys`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use secrecy::ExposeSecret as _;

use omoi_accounts::commands::key::{NewApiKey, OrganisationKey, create_organisation_key};
use omoi_domain::access::role::MemberRole;
use omoi_protocol::api::{CreateOrganizationKey, IssuedOrganizationKey};

use super::OrganizationPath;
use super::views::organization_key_view;
use crate::api::Surface;
use crate::api::auth::expect_key_name;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::request_key::ShownOnce;
use crate::error::ApiError;

/// Makes a key of an organisation, with a role, or of an agent at one project. It is told this once, and stays when whoever
/// made it leaves.
#[utoipa::path(
    post, path = "/organizations/{organization_id}/api-keys", tag = "organizations",
    request_body = CreateOrganizationKey, params(OrganizationPath),
    responses((status = 201, description = "The key.", body = IssuedOrganizationKey))
)]
pub(super) async fn create_organization_key(
    caller: Allowed<needs::OrgKeysWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
    ApiBody(body): ApiBody<CreateOrganizationKey>,
) -> Result<
    (
        StatusCode,
        Extension<ShownOnce>,
        Json<IssuedOrganizationKey>,
    ),
    ApiError,
> {
    caller.expect_organization(path.organization_id)?;
    let maker = caller.expect_person()?;
    expect_key_name(&body.name)?;
    let owner = match (body.role_id, body.project_id) {
        (Some(role), None) => OrganisationKey::Role(MemberRole::of_id(role)),
        (None, Some(project)) => OrganisationKey::Agent(project),
        _ => {
            let says = "a key has either `role_id`, or the `project_id` of an agent";
            return Err(ApiError::invalid_value(says).with_field("/role_id"));
        }
    };
    let now = s.parts.clock.now();
    caller.expect_recent_sign_in(now)?;
    let new = NewApiKey {
        name: body.name,
        scopes: body.scopes,
        days: body.expires_in_days,
    };
    let (accounts, by) = (caller.accounts_of(&s), caller.member_authority());
    let made = create_organisation_key(&accounts, by, maker, owner, new).await;
    let made = made.map_err(|error| s.refuse_account(error))?;
    let issued = IssuedOrganizationKey {
        key: made.key.expose_secret().to_owned(),
        api_key: organization_key_view(made.row, now),
    };
    Ok((StatusCode::CREATED, Extension(ShownOnce), Json(issued)))
}
