//! Shows what waits for what in a project.

use axum::response::Response;

use omoi_domain::graph::EdgeDirection;
use omoi_protocol::api::GraphView;
use omoi_store::{StoreError, projects};

use super::{GraphQuery, answer_graph};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::projects::ProjectPath;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Shows what waits for what in a project: its tickets and tasks, or those around one task.
#[utoipa::path(
    get, path = "/graph/dependency-graph/project/{project_id}", tag = "graph",
    params(ProjectPath, GraphQuery),
    responses((status = 200, description = "The graph.", body = GraphView))
)]
pub(super) async fn get_project_graph(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<ProjectPath>,
    ApiQuery(query): ApiQuery<GraphQuery>,
) -> Result<Response, ApiError> {
    let id = path.project_id;
    let project = caller
        .own_rows()
        .read(async |tx| Ok::<_, StoreError>(projects::get(tx, id).await?.id));
    let distance = query.depth.unwrap_or(u32::MAX);
    answer_graph(&caller, project.await?, &query, |rows| match query.focus {
        Some(task) => rows.choose_around(&[task], EdgeDirection::Both, distance),
        None => rows.choose_all(),
    })
    .await
}
