//! Puts a project away.

use axum::response::Response;

use omoi_planning::commands;
use omoi_protocol::api::ProjectView;

use super::{ProjectPath, answer_change};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Puts a project away: nothing starts in it any more, and its specs are cancelled.
///
/// `PATCH` with the state `active` takes it back; its specs stay cancelled.
#[utoipa::path(
    delete, path = "/projects/{project_id}", tag = "projects",
    params(ProjectPath, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The project, which is archived.", body = ProjectView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn archive_project(
    caller: Allowed<needs::ProjectArchive>,
    ApiPath(path): ApiPath<ProjectPath>,
    meant: MeantVersions,
) -> Result<Response, ApiError> {
    let (tenant, versions) = (caller.own_rows(), meant.0.as_deref());
    let archived = commands::archive_project(tenant, path.project_id, versions).await;
    answer_change(&caller, archived).await
}
