//! Lists the work that phases begin with.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::access::permission::Permission;
use omoi_domain::id::ProjectId;
use omoi_domain::workflow::seeded_workflow;
use omoi_protocol::api::{ListPage, PhaseInitialTasks};
use omoi_store::{phase_definitions, projects};

use crate::api::Answer;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Whose phases.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct InitialTasksQuery {
    /// The project; without one, what every project begins with.
    project_id: Option<ProjectId>,
}

/// Lists the work that the phases of a project begin with.
#[utoipa::path(
    get, path = "/admin/phase-progression/initial-tasks", tag = "admin", params(InitialTasksQuery),
    responses((status = 200, description = "The phases in their order.", body = ListPage<PhaseInitialTasks>))
)]
pub(super) async fn list_initial_tasks(
    caller: Allowed<needs::PlatformStaff>,
    ApiQuery(query): ApiQuery<InitialTasksQuery>,
) -> Answer<ListPage<PhaseInitialTasks>> {
    let phases = match query.project_id {
        Some(project) => {
            caller.expect_also(Permission::ProjectRead)?;
            let read = caller.own_rows().read(async |tx| {
                let project = projects::get(tx, project).await?.id;
                phase_definitions::of_project(tx, project).await
            });
            read.await?
        }
        None => seeded_workflow().phases.clone(),
    };
    let phases = phases.into_iter().map(|phase| PhaseInitialTasks {
        phase_id: phase.id,
        name: phase.name,
        initial_tasks: phase.seeds,
    });
    Ok(Json(ListPage::whole_list(phases.collect())))
}
