//! Shows what waits for what around a ticket.

use axum::response::Response;

use omoi_domain::graph::EdgeDirection;
use omoi_domain::id::TaskId;
use omoi_protocol::api::GraphView;

use super::{GraphQuery, answer_graph};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::{ProjectOfTicket, TicketPath};
use crate::error::ApiError;

/// Shows a ticket with its tasks, what they wait for and what waits for them, and the tickets beside it.
#[utoipa::path(
    get, path = "/graph/dependency-graph/ticket/{ticket_id}", tag = "graph", params(TicketPath, GraphQuery),
    responses((status = 200, description = "The graph.", body = GraphView))
)]
pub(super) async fn get_ticket_graph(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(query): ApiQuery<GraphQuery>,
) -> Result<Response, ApiError> {
    let of = ProjectOfTicket {
        project_id: query.project_id,
    };
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let distance = query.depth.unwrap_or(1);
    answer_graph(&caller, ticket.project_id, &query, |rows| {
        let own = rows.tasks.iter().filter(|task| task.ticket_id == ticket.id);
        let from: Vec<TaskId> = match query.focus {
            Some(task) => vec![task],
            None => own.map(|task| task.id).collect(),
        };
        let mut choice = rows.choose_around(&from, EdgeDirection::Both, distance);
        choice.tickets.extend(rows.tickets_beside(ticket.id));
        choice
    })
    .await
}
