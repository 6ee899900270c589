//! Changes what a person says of a project.

use axum::response::Response;

use omoi_domain::access::permission::Permission;
use omoi_planning::commands::{self, ProjectChange};
use omoi_protocol::api::{ProjectView, UpdateProject};

use super::{ProjectPath, answer_change};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Changes a project: its name, what it is for, whether work goes on in it, and what shows that its work is deployed.
#[utoipa::path(
    patch, path = "/projects/{project_id}", tag = "projects", request_body = UpdateProject,
    params(ProjectPath, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The project as it is then.", body = ProjectView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn update_project(
    caller: Allowed<needs::ProjectWrite>,
    ApiPath(path): ApiPath<ProjectPath>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<UpdateProject>,
) -> Result<Response, ApiError> {
    let change = ProjectChange {
        name: body.name,
        description: body.description,
        new_status: body.status.map(Into::into),
        autonomous: body.autonomous_execution_enabled,
        deploy_check: body.deploy_check,
        may_take_back: caller.has_also(Permission::ProjectArchive),
    };
    let (tenant, versions) = (caller.own_rows(), meant.0.as_deref());
    let updated = commands::update_project(tenant, path.project_id, change, versions).await;
    answer_change(&caller, updated).await
}
