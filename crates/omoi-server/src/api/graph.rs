//! What waits for what.

mod build;
mod get_project_graph;
mod get_task_graph;
mod get_ticket_graph;

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use omoi_domain::id::{ProjectId, TaskId};
use omoi_protocol::api::GraphView;

use self::build::{GraphChoice, GraphRows, dot_text, graph_view};
use super::ApiSurface;
use super::caller::ApiCaller;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

/// Nodes of one graph at most.
const NODES_MAX: usize = 5_000;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(get_project_graph::get_project_graph, NotFound))
        .add(operation!(
            get_ticket_graph::get_ticket_graph,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            get_task_graph::get_blocked_graph,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            get_task_graph::get_blocking_graph,
            NotFound,
            UnclearReference
        ))
}

/// How a graph is answered.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum GraphFormat {
    /// As this API answers everything.
    #[default]
    Json,
    /// As a text that Graphviz draws.
    Dot,
}

/// Which part of a graph, and how.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct GraphQuery {
    /// Whether to show tasks that are over.
    #[serde(default = "shown")]
    #[param(value_type = Option<bool>)]
    include_resolved: bool,
    /// Whether to show what agents found.
    #[serde(default = "shown")]
    #[param(value_type = Option<bool>)]
    include_discoveries: bool,
    /// Edges from where the graph begins to its last nodes, at most.
    #[param(maximum = 1_000)]
    depth: Option<u32>,
    /// The task that the graph is around, by row id.
    focus: Option<TaskId>,
    /// `json` where it is absent, or `dot`.
    #[serde(default)]
    #[param(inline)]
    format: GraphFormat,
    /// The project of the reference, where several have one with its number.
    pub(super) project_id: Option<ProjectId>,
}

const fn shown() -> bool {
    true
}

/// The graph of `project` as far as `choose` says.
async fn answer_graph(
    caller: &ApiCaller,
    project: ProjectId,
    query: &GraphQuery,
    choose: impl FnOnce(&GraphRows) -> GraphChoice,
) -> Result<Response, ApiError> {
    let rows = caller
        .own_rows()
        .read(async |tx| GraphRows::read_project(tx, project).await);
    let mut rows = rows.await?;
    if !query.include_discoveries {
        rows.discoveries.clear();
    }
    let mut choice = choose(&rows);
    if !query.include_resolved {
        choice.leave_out_resolved(&rows);
    }
    let view = graph_view(&rows, &choice);
    if view.nodes.len() > NODES_MAX {
        let says = format!(
            "the graph has {} nodes, more than {NODES_MAX}",
            view.nodes.len()
        );
        return Err(ApiError::invalid_value(says)
            .with_field("depth")
            .hint("name a task by `focus`, with a `depth`, or leave out what is over"));
    }
    Ok(graph_answer(view, query.format))
}

fn graph_answer(view: GraphView, format: GraphFormat) -> Response {
    match format {
        GraphFormat::Json => Json(view).into_response(),
        GraphFormat::Dot => {
            let kind = [(CONTENT_TYPE, "text/vnd.graphviz; charset=utf-8")];
            (kind, dot_text(&view)).into_response()
        }
    }
}
