//! Lets more through the proxy of this process.

use axum::Json;
use axum::extract::State;
use serde_json::json;
use tracing::info;

use omoi_accounts::audit::record_act;
use omoi_domain::audit::{AuditAct, AuditAction, AuditTarget};
use omoi_domain::id::OrgId;
use omoi_egress::listing::ListedEntries;
use omoi_egress::package::PackageVersion;
use omoi_egress::project_hosts::ProjectHosts;
use omoi_protocol::api::{AllowEgress, AllowedEgress};

use crate::api::body::ApiBody;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Lets hosts and versions of packages through from now on, for attempts at work as well, until this process ends.
#[utoipa::path(
    post, path = "/admin/egress", tag = "admin", request_body = AllowEgress,
    responses((status = 200, description = "Whether it holds now.", body = AllowedEgress))
)]
pub(super) async fn allow_egress(
    caller: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
    ApiBody(body): ApiBody<AllowEgress>,
) -> Answer<AllowedEgress> {
    let bad = |error: &dyn std::error::Error| ApiError::invalid_value(error.to_string());
    let hosts = ProjectHosts::parse(&body.hosts).map_err(|error| bad(&error))?;
    let versions = body.versions.iter();
    let versions = versions.map(|version| version.parse::<PackageVersion>());
    let versions = versions
        .collect::<Result<_, _>>()
        .map_err(|error| bad(&error))?;
    let Some(listing) = &s.parts.listing else {
        return Ok(Json(AllowedEgress { is_in_force: false }));
    };
    let AllowEgress {
        hosts: named,
        versions: packages,
    } = &body;
    let act = AuditAct::done_to(AuditAction::EgressAllowed, AuditTarget::DEPLOYMENT)
        .with_after(json!({ "hosts": named, "versions": packages }));
    record_act(&caller.accounts_of(&s).store, OrgId::PLATFORM, act).await?;
    listing.add_entries(ListedEntries { hosts, versions });
    info!(hosts = ?named, versions = ?packages, "A person lets more through the proxy");
    Ok(Json(AllowedEgress { is_in_force: true }))
}
