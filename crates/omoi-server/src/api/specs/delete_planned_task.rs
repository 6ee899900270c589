//! Takes a task out of a plan.

use axum::extract::State;
use axum::response::Response;

use omoi_planning::commands::PlannedTaskWish;
use omoi_protocol::api::SpecView;

use super::OfProject;
use super::plan_edits::{EditedPlan, PlannedTaskPath};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::find::AskedReference;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Takes a task out of a plan.
///
/// The plan is judged with it. On the next resume the commands that prove it are tried on the base commit, and what differs is
/// written.
#[utoipa::path(
    delete, path = "/specs/{spec_id}/tasks/{planned_task_id}", tag = "specs",
    params(PlannedTaskPath, OfProject, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The spec as it is then.", body = SpecView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn delete_planned_task(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<PlannedTaskPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    meant: MeantVersions,
) -> Result<Response, ApiError> {
    let asked = AskedReference::of_path(&path.spec_id, of.project_id);
    let plan = EditedPlan::find(&s, &caller, asked, meant).await?;
    plan.change_task(PlannedTaskWish::Remove(path.planned_task_id))
        .await
}
