//! `GET /organizations/{organization_id}`.

use omoi_protocol::api::OrganizationView;

use super::{OrganizationPath, read_organization};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::{VersionedAnswer, VersionedJson};

/// Shows an organisation.
#[utoipa::path(
    get, path = "/organizations/{organization_id}", tag = "organizations",
    params(OrganizationPath),
    responses((
        status = 200, description = "The organisation.", body = OrganizationView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn get_organization(
    caller: Allowed<needs::OrgRead>,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> VersionedAnswer<OrganizationView> {
    caller.expect_organization(path.organization_id)?;
    let body = read_organization(&caller).await?;
    Ok(VersionedJson {
        version: body.version,
        body,
    })
}
