//! Shows what a task waits for, and what waits for it.

use axum::response::Response;

use omoi_domain::graph::EdgeDirection;
use omoi_protocol::api::GraphView;

use super::{GraphQuery, answer_graph};
use crate::api::body::ApiPath;
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tasks::{ProjectOfTask, TaskPath};
use crate::error::ApiError;

/// Shows the tasks that wait for a task, and those that wait for them.
#[utoipa::path(
    get, path = "/graph/dependency-graph/task/{task_id}/blocked", tag = "graph", params(TaskPath, GraphQuery),
    responses((status = 200, description = "The graph.", body = GraphView))
)]
pub(super) async fn get_blocked_graph(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(query): ApiQuery<GraphQuery>,
) -> Result<Response, ApiError> {
    answer_around(&caller, &path, &query, EdgeDirection::Dependents).await
}

/// Shows the tasks that a task waits for, and those that they wait for.
#[utoipa::path(
    get, path = "/graph/dependency-graph/task/{task_id}/blocking", tag = "graph", params(TaskPath, GraphQuery),
    responses((status = 200, description = "The graph.", body = GraphView))
)]
pub(super) async fn get_blocking_graph(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(query): ApiQuery<GraphQuery>,
) -> Result<Response, ApiError> {
    answer_around(&caller, &path, &query, EdgeDirection::Prerequisites).await
}

async fn answer_around(
    caller: &ApiCaller,
    path: &TaskPath,
    query: &GraphQuery,
    direction: EdgeDirection,
) -> Result<Response, ApiError> {
    let of = ProjectOfTask {
        project_id: query.project_id,
    };
    let task = caller.find_task(path, &of).await?;
    let distance = query.depth.unwrap_or(u32::MAX);
    answer_graph(caller, task.project_id, query, |rows| {
        rows.choose_around(&[task.id], direction, distance)
    })
    .await
}
