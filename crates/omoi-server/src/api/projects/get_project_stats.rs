//! Tells how far a project is.

use axum::Json;

use omoi_protocol::api::ProjectStats;
use omoi_store::{StoreError, projects};

use super::ProjectPath;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Tells how far a project is: its tickets, tasks and specs by their states, and what landed.
#[utoipa::path(
    get, path = "/projects/{project_id}/stats", tag = "projects", params(ProjectPath),
    responses((status = 200, description = "Figures of the project.", body = ProjectStats))
)]
pub(super) async fn get_project_stats(
    caller: Allowed<needs::ProjectRead>,
    ApiPath(path): ApiPath<ProjectPath>,
) -> Answer<ProjectStats> {
    let id = path.project_id;
    let read = caller.own_rows().read(async |tx| {
        let project = projects::get(tx, id).await?;
        let counts = projects::row_counts(tx, &[project.id]).await?;
        let tallies = projects::tally_rows(tx, project.id).await?;
        Ok::<_, StoreError>((counts.get(&id).copied().unwrap_or_default(), tallies))
    });
    let (counts, tallies) = read.await?;
    Ok(Json(ProjectStats {
        total_tickets: counts.tickets,
        tickets_by_status: tallies.tickets,
        tasks_by_status: tallies.tasks,
        specs_by_status: tallies.specs,
        active_agents: counts.slots_used,
        total_commits: tallies.merges,
    }))
}
