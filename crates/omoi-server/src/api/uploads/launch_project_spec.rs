//! Writes a spec down about a commit that was sent, and starts it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_domain::id::SpecId;
use omoi_planning::commands::{ProjectLaunch, create_uploaded_spec};
use omoi_protocol::api::{LaunchProjectSpec, SpecView};
use omoi_store::specs;

use super::read_commit;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath, expect_chars};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::projects::ProjectPath;
use crate::api::specs::answered_spec;
use crate::error::ApiError;

/// Characters of the name of a branch.
const BRANCH_CHARS_MAX: usize = 255;

/// Writes a spec down about a commit of a repository that lies elsewhere, and starts it: it is planned, and worked on once
/// its plan is approved.
#[utoipa::path(
    post, path = "/projects/{project_id}/specs", tag = "specs", params(ProjectPath),
    request_body = LaunchProjectSpec,
    responses((status = 202, description = "The spec, which is being planned.", body = SpecView))
)]
pub(super) async fn launch_project_spec(
    caller: Allowed<needs::SpecExecute>,
    State(s): Surface,
    ApiPath(path): ApiPath<ProjectPath>,
    ApiBody(body): ApiBody<LaunchProjectSpec>,
) -> Result<(StatusCode, Json<SpecView>), ApiError> {
    read_commit(&body.commit, "/commit")?;
    if let Some(branch) = &body.branch {
        expect_chars("/branch", branch, BRANCH_CHARS_MAX)?;
    }
    let rows = caller.own_rows();
    let launch = ProjectLaunch {
        project: path.project_id,
        asked: body,
    };
    let launch = create_uploaded_spec(&s.parts.policy, s.uploaded_repositories(), rows, launch);
    let spec = match caller.act_once(launch).await? {
        Some(spec) => spec,
        None => {
            let id = SpecId::from_uuid(caller.expect_made()?);
            // The process that launched it may be another one.
            s.parts.policy.selection.scope.ask_for(id);
            rows.read(async |tx| Ok::<_, ApiError>(specs::get(tx, id).await?))
                .await?
        }
    };
    Ok((
        StatusCode::ACCEPTED,
        answered_spec(&s, &caller, spec).await?,
    ))
}
