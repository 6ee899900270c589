//! Begins a project.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use omoi_planning::commands::{self, ProjectDraft};
use omoi_protocol::api::{CreateProject, ProjectView};

use super::answered;
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Begins a project under a name, or for the repository at a path of this machine.
///
/// The project of a repository that has one is answered as it is, and works on by itself from then on.
#[utoipa::path(
    post, path = "/projects", tag = "projects", request_body = CreateProject,
    responses((
        status = 201, description = "The project.", body = ProjectView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn create_project(
    caller: Allowed<needs::ProjectWrite>,
    State(s): Surface,
    ApiBody(body): ApiBody<CreateProject>,
) -> Result<Response, ApiError> {
    let tenant = caller.own_rows();
    let CreateProject {
        name,
        description,
        autonomous_execution_enabled: autonomous,
        repo_path,
    } = body;
    let project = match (name, repo_path) {
        (Some(name), None) => {
            let draft = ProjectDraft {
                name,
                description,
                autonomous: autonomous.unwrap_or(false),
            };
            commands::create_project(tenant, draft).await?
        }
        (None, Some(path)) if description.is_none() && autonomous.is_none() => {
            commands::create_folder_project(s.repositories(&caller)?, tenant, &path).await?
        }
        (None, None) => {
            let says = "a project needs a name, or a repository by `repo_path`";
            return Err(ApiError::invalid_value(says).with_field("/name"));
        }
        (_, Some(_)) => {
            let says = "beside `repo_path` nothing else is given";
            return Err(ApiError::invalid_value(says).with_field("/repo_path"));
        }
    };
    let made = answered(&caller, project).await?;
    Ok((StatusCode::CREATED, made).into_response())
}
