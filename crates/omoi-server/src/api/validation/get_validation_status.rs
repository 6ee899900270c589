//! Tells which tasks are looked at.

use axum::Json;

use omoi_domain::task::TaskStatus;
use omoi_protocol::api::ValidationStatus;
use omoi_store::{StoreError, tasks};

use crate::api::Answer;
use crate::api::agents::OfProjects;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::task_view::task_views;

/// Tells the work of which tasks waits to be looked at by the platform, and which is looked at now.
#[utoipa::path(
    get, path = "/validation/status", tag = "validation", params(OfProjects),
    responses((status = 200, description = "The tasks.", body = ValidationStatus))
)]
pub(super) async fn get_validation_status(
    caller: Allowed<needs::TaskRead>,
    ApiQuery(of): ApiQuery<OfProjects>,
) -> Answer<ValidationStatus> {
    let projects = caller.listed_projects(&of.project_id);
    let read = caller.own_rows().read(async |tx| {
        let mut waiting = tasks::with_status(tx, TaskStatus::PendingValidation).await?;
        let mut found = tasks::with_status(tx, TaskStatus::Validating).await?;
        for tasks in [&mut waiting, &mut found] {
            tasks.retain(|task| projects.is_empty() || projects.contains(&task.project_id));
        }
        let (n_waiting, n_running) = (waiting.len() as u64, found.len() as u64);
        found.append(&mut waiting);
        found.sort_by_key(|task| (task.queued_at, task.id));
        Ok::<_, StoreError>(ValidationStatus {
            tasks: task_views(tx, &found).await?,
            n_waiting,
            n_running,
        })
    });
    Ok(Json(read.await?))
}
