//! Counts the tickets of a board.

use axum::Json;

use omoi_protocol::api::{BoardColumnStats, BoardStats};
use omoi_store::board_columns;

use super::{BoardQuery, column_counts};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, find};
use crate::error::ApiError;

/// Counts the tickets of each column of a board.
#[utoipa::path(
    get, path = "/board/stats", tag = "board", params(BoardQuery),
    responses((status = 200, description = "The counts.", body = BoardStats))
)]
pub(super) async fn get_board_stats(
    caller: Allowed<needs::TicketRead>,
    ApiQuery(of): ApiQuery<BoardQuery>,
) -> Answer<BoardStats> {
    let asked = of.asked_project(&caller);
    let stats = caller.own_rows().read(async |tx| {
        let project = find::find_project(tx, asked).await?;
        let columns = board_columns::of_project(tx, project).await?.columns;
        let counts = column_counts(tx, project, &columns).await?;
        let columns = columns.into_iter().map(|column| {
            let current_count = counts.get(&column.key).copied().unwrap_or_default();
            let share = |limit: u32| f64::from(current_count) / f64::from(limit);
            BoardColumnStats {
                id: column.key,
                name: column.name,
                current_count,
                utilization: column.wip_limit.map(share),
                wip_limit: column.wip_limit,
            }
        });
        Ok::<_, ApiError>(BoardStats {
            columns: columns.collect(),
        })
    });
    Ok(Json(stats.await?))
}
