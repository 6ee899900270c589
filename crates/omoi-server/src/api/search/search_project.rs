//! `GET /projects/{project_id}/search`.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_protocol::api::{EXAMPLE_PROJECT, SearchResults};

use super::SearchText;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Which project.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SearchedProject {
    /// Row id of the project.
    #[param(example = json!(EXAMPLE_PROJECT))]
    project_id: ProjectId,
}

/// Searches the texts of specs, tickets, tasks and comments of one project.
///
/// What the caller may not read is not found.
#[utoipa::path(
    get, path = "/projects/{project_id}/search", tag = "search", params(SearchedProject, SearchText),
    responses((status = 200, description = "What was found.", body = SearchResults))
)]
pub(super) async fn search_project(
    caller: Allowed<needs::ProjectRead>,
    ApiPath(place): ApiPath<SearchedProject>,
    ApiQuery(text): ApiQuery<SearchText>,
) -> Answer<SearchResults> {
    Ok(Json(text.answer(&caller, Some(place.project_id)).await?))
}
