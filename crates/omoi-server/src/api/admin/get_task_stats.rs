//! Counts the tasks of the deployment.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::DeploymentTaskStats;

use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::probes::count_everywhere;

/// Counts the tasks of all organisations together.
#[utoipa::path(
    get, path = "/admin/tasks/stats", tag = "admin",
    responses((status = 200, description = "How many.", body = DeploymentTaskStats))
)]
pub(super) async fn get_task_stats(
    _: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
) -> Answer<DeploymentTaskStats> {
    let counts = count_everywhere(s.parts.store.store()).await?;
    let by_status = counts.tasks.into_iter();
    let by_status: BTreeMap<String, u64> = by_status
        .map(|(status, n)| (status, n.unsigned_abs()))
        .collect();
    Ok(Json(DeploymentTaskStats {
        n_organizations: counts.n_organizations as u64,
        total: by_status.values().sum(),
        by_status,
    }))
}
