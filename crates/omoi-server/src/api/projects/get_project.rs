//! Shows a project.

use omoi_protocol::api::ProjectView;
use omoi_store::projects;

use super::{ProjectPath, answered};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::VersionedAnswer;

/// Shows a project.
#[utoipa::path(
    get, path = "/projects/{project_id}", tag = "projects", params(ProjectPath),
    responses((
        status = 200, description = "The project.", body = ProjectView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn get_project(
    caller: Allowed<needs::ProjectRead>,
    ApiPath(path): ApiPath<ProjectPath>,
) -> VersionedAnswer<ProjectView> {
    let id = path.project_id;
    let project = caller
        .own_rows()
        .read(async |tx| projects::get(tx, id).await);
    answered(&caller, project.await?).await
}
