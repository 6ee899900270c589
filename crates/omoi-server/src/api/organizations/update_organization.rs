//! `PATCH /organizations/{organization_id}`.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use omoi_accounts::commands::organisation_changes::{OrganisationChange, update_organisation};
use omoi_accounts::error::AccountError;
use omoi_domain::access::permission::Permission;
use omoi_domain::organisation::ORGANISATION_AGENTS_MAX;
use omoi_protocol::api::{OrganizationView, UpdateOrganization};

use super::{OrganizationPath, described_text, mail_address, organization_view, read_organization};
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, VersionedJson, stale_version};
use crate::error::ApiError;

/// Changes what an organisation is called, and how much of it may be at work.
///
/// Limits need `org:limits:write` as well.
#[utoipa::path(
    patch, path = "/organizations/{organization_id}", tag = "organizations",
    request_body = UpdateOrganization,
    params(OrganizationPath, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The organisation as it is then.", body = OrganizationView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn update_organization(
    caller: Allowed<needs::OrgWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<UpdateOrganization>,
) -> Result<Response, ApiError> {
    caller.expect_organization(path.organization_id)?;
    if body.max_concurrent_agents.is_some() {
        caller.expect_permission(Permission::OrgLimitsWrite)?;
    }
    let change = asked_change(body)?;
    let by = caller.member_authority();
    let accounts = caller.accounts_of(&s);
    let updated = update_organisation(&accounts, by, change, meant.0.as_deref()).await;
    match updated {
        Ok(row) => {
            let version = row.state_version;
            let body = organization_view(row, by.power.permissions);
            Ok(VersionedJson { version, body }.into_response())
        }
        Err(AccountError::StaleVersion) => {
            let current = read_organization(&caller).await?;
            Ok(stale_version(current.version, &current))
        }
        Err(error) => Err(s.refuse_account(error)),
    }
}

fn asked_change(body: UpdateOrganization) -> Result<OrganisationChange, ApiError> {
    let limit = body.max_concurrent_agents;
    if limit.is_some_and(|limit| !(1..=ORGANISATION_AGENTS_MAX).contains(&limit)) {
        let says = format!("`max_concurrent_agents` is 1 to {ORGANISATION_AGENTS_MAX}");
        return Err(ApiError::invalid_value(says).with_field("/max_concurrent_agents"));
    }
    let billing = body.billing_email;
    Ok(OrganisationChange {
        name: body.name,
        description: body.description.map(described_text).transpose()?,
        billing_email: billing
            .map(|mail| mail.as_deref().map(mail_address).transpose())
            .transpose()?,
        max_concurrent_agents: limit,
    })
}
