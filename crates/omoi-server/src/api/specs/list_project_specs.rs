//! Lists the specs of a project.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_domain::spec::SpecStatus;
use omoi_protocol::api::{EXAMPLE_PROJECT, ListPage, SpecView};
use omoi_store::projects;

use super::list_specs::{SpecFilter, page_of_specs};
use crate::api::body::{ApiPath, ApiQuery};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which project.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ProjectPath {
    /// Row id of the project.
    #[param(example = json!(EXAMPLE_PROJECT))]
    project_id: ProjectId,
}

/// Which of its specs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusFilter {
    /// Those in this state.
    status: Option<SpecStatus>,
}

/// Lists the specs of a project, newest first, at most 200.
#[utoipa::path(
    get, path = "/specs/project/{project_id}", tag = "specs", params(ProjectPath, StatusFilter),
    responses((status = 200, description = "The newest specs.", body = ListPage<SpecView>))
)]
pub(super) async fn list_project_specs(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<ProjectPath>,
    ApiQuery(query): ApiQuery<StatusFilter>,
) -> Answer<ListPage<SpecView>> {
    let page = caller.own_rows().read(async |tx| {
        let project = projects::get(tx, path.project_id).await?;
        let filter = SpecFilter {
            project_id: Some(project.id),
            status: query.status,
        };
        Ok::<_, ApiError>(page_of_specs(tx, &s.parts.policy, &filter).await?)
    });
    Ok(Json(page.await?))
}
