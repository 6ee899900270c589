//! Takes in commits of a repository.

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_planning::commands::{CommitUpload, upload_commits};
use omoi_protocol::api::{EXAMPLE_COMMIT, UploadedCommitView};
use omoi_store::projects;

use super::read_commit;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::projects::ProjectPath;
use crate::api::query::ApiQuery;
use crate::api::upload_body::UploadBody;
use crate::api::{Answer, Surface};

/// What the bundle brings.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadQuery {
    /// Full name of the commit that the bundle brings, with all that the project does not have of its history.
    #[param(example = json!(EXAMPLE_COMMIT))]
    commit: String,
}

/// Takes in a git bundle, version 2, with commits of a repository that lies elsewhere.
///
/// It is sent as it is, of 256 MiB at most. Its objects are checked before any of them joins the others; a ref that it names
/// moves nothing. To send it again changes nothing.
#[utoipa::path(
    post, path = "/projects/{project_id}/repository/bundle", tag = "projects", params(ProjectPath, UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "What was taken in.", body = UploadedCommitView))
)]
pub(super) async fn upload_bundle(
    caller: Allowed<needs::SpecExecute>,
    State(s): Surface,
    ApiPath(path): ApiPath<ProjectPath>,
    ApiQuery(query): ApiQuery<UploadQuery>,
    request: Request,
) -> Answer<UploadedCommitView> {
    let commit = read_commit(&query.commit, "commit")?;
    let project = path.project_id;
    // Nothing is read for a project that is not there.
    let found = caller
        .own_rows()
        .read(async |tx| projects::get(tx, project).await);
    found.await?;
    let body = UploadBody::from_request(request, &s).await?;
    let upload = CommitUpload {
        commit: &commit,
        bundle: body.body_bytes(),
    };
    let access = &s.parts.repositories;
    upload_commits(access, caller.own_rows(), project, upload).await?;
    Ok(Json(UploadedCommitView {
        commit: commit.to_string(),
        bundle_bytes: body.body_bytes().len() as u64,
    }))
}
