//! Counts the agents of an organisation.

use std::collections::BTreeMap;

use axum::Json;

use omoi_domain::access::permission::Permission;
use omoi_protocol::api::OrganizationAgentStats;
use omoi_store::{StoreError, attempts, organisations};

use super::AskedOrganizationPath;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Counts the agents of an organisation, beside the limit that they have.
#[utoipa::path(
    get, path = "/admin/agents/{organization_id}/stats", tag = "admin", params(AskedOrganizationPath),
    responses((status = 200, description = "How many.", body = OrganizationAgentStats))
)]
pub(super) async fn get_organization_agents(
    caller: Allowed<needs::PlatformStaff>,
    ApiPath(path): ApiPath<AskedOrganizationPath>,
) -> Answer<OrganizationAgentStats> {
    let organization_id = caller.expect_organization(path.organization_id)?;
    caller.expect_also(Permission::AgentRead)?;
    let read = caller.own_rows().read(async |tx| {
        let organisation = organisations::get(tx).await?;
        Ok::<_, StoreError>((organisation, attempts::count_by_role(tx, &[]).await?))
    });
    let (organisation, counted) = read.await?;
    let mut stats = OrganizationAgentStats {
        organization_id,
        max_concurrent_agents: organisation.max_concurrent_agents,
        n_live: 0,
        live_by_type: BTreeMap::new(),
        by_status: BTreeMap::new(),
    };
    for ((role, state), n) in counted {
        *stats
            .by_status
            .entry(state.as_str().to_owned())
            .or_default() += n;
        if state.is_live() {
            stats.n_live += n;
            *stats
                .live_by_type
                .entry(role.as_str().to_owned())
                .or_default() += n;
        }
    }
    Ok(Json(stats))
}
