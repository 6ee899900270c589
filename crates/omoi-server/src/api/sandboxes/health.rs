//! Tells how the sandboxes do.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::SandboxesHealth;
use omoi_store::attempts;

use crate::api::agents::OfProjects;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Tells how many sandboxes there are, and what makes them.
#[utoipa::path(
    get, path = "/sandboxes/health", tag = "sandboxes", params(OfProjects),
    responses((status = 200, description = "How they do.", body = SandboxesHealth))
)]
pub(super) async fn get_sandboxes_health(
    caller: Allowed<needs::SandboxRead>,
    State(s): Surface,
    ApiQuery(of): ApiQuery<OfProjects>,
) -> Answer<SandboxesHealth> {
    let projects = caller.listed_projects(&of.project_id);
    let live = caller
        .own_rows()
        .read(async |tx| attempts::live_of_projects(tx, &projects).await);
    let live = live.await?;
    let n_starting = live.iter().filter(|one| one.started_at.is_none()).count();
    Ok(Json(SandboxesHealth {
        rung: s.status.sandbox.clone(),
        n_live: live.len() as u64,
        n_starting: n_starting as u64,
    }))
}
